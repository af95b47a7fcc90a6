"""One run at a time: who holds the output (output_lock.py), and the file that says so (lock_file.py)."""
