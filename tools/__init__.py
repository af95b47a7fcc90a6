"""The scripts that make the bundled model and the sample videos. Run them with `python -m` from the root."""
