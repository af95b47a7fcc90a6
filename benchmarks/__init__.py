"""The scripts that measure the figures of the docs. Run them with `python -m` from the root."""
