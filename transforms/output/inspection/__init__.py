"""Read-only views of an output as a whole, for the commands that report on it.

verification.py comparison of files and run documents (row_checks.py: row by row)
overview.py     the content of `reelbeam status`
"""
