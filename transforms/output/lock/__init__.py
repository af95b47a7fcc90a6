"""The lock of an output: one run at a time (output_lock.py: acquire and renew it; lock_file.py: its file)."""
