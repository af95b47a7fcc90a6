"""The public names of `reelbeam`: labels in other pipelines, scripts and notebooks.

options.py       the settings, as keyword arguments
preparation.py   keyword arguments -> what the steps need
label_videos.py  LabelVideos, a composite of Beam
label.py         label, for scripts and notebooks, with the next five
found_videos.py  the videos that its argument names
local_run.py     labels videos in threads
progress_bar.py  shows how far they are
label_tables.py  LabelTables, its result
shown_tables.py  the result as text and as HTML
decode_clips.py  decode_clips, the frames of a video
decoded_clip.py  the frames of one clip
model.py         load_model, a model for frames
"""
