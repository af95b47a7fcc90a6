"""Resolve inputs to video URIs. No Beam steps.

expansion.py         a folder, a pattern, a list or a video -> VideoRefs
list_files.py        CSV, JSONL, Parquet and text lists (list_rows.py: their rows)
video_rows.py        a row of a list or of a pipeline -> VideoRef
video_extensions.py  the file extensions of videos in a folder
"""
