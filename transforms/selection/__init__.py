"""Which videos a run labels.

list_videos.py    ListVideos: inputs -> entries of videos
select_videos.py  SelectVideos: entries and the ledger -> the videos to label, each once
read_ledger.py    ReadLedger: the rows of the listed videos
limit.py          Limit: the first videos in a fixed order
parts.py          WriteSelection and ReadSelection: the selected videos on disk, part by part
sample.py         WriteSample: counts and a sample, for `plan`
duplicates.py     which entries are the same video
row_options.py    options that change columns, not labels
packing.py        many rows in one element, for shuffles
"""
