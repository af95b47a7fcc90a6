"""Which videos a run labels.

list_videos.py   ListVideos: inputs -> distinct VideoRefs
skip_labeled.py  SkipLabeled: those that the ledger does not skip
parts.py         WriteSelection and ReadSelection: the selected videos on disk, part by part
duplicates.py    which inputs are the same video
row_options.py   options that change columns, not labels
packing.py       many rows in one element, for shuffles
"""
