"""The scripts that measure what the docs claim. Run them with `python -m` from the root."""
