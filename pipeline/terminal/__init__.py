"""Writing to terminals: safe streams (streams.py), tables and messages (console.py), progress bars (progress.py)."""
