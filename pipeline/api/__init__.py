"""The public names of `reelbeam`: labels in other pipelines, scripts and notebooks.

options.py       the settings, as keyword arguments
preparation.py   keyword arguments -> what the steps need
label_videos.py  LabelVideos, a composite of Beam
"""
