"""The scripts that measure what the README claims. Run them with `python -m` from the root."""
