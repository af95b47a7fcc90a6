"""From inputs as the user names them to video URIs. No Beam steps.

expansion.py         a folder, a pattern, a list or a video -> VideoRefs
list_files.py        CSV, JSONL, Parquet and text lists (list_rows.py: their rows)
video_extensions.py  by which extensions videos are found in a folder
"""
