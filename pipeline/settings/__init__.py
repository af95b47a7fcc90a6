"""The configuration of a run (config.py), and the bounds of its numbers and of this machine (bounds.py)."""
