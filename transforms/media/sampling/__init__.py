"""Plan which instants of a video its clips show. Pure functions on exact rationals; no file is read.

clip_sampling.py  the parameters
clips.py          the clips of a video for Base models
stream.py         the clips for Stream models
segments.py       divides a long video into segments, the units of work
video_plan.py     the clips of a video or of a range of it, in segments, for either kind of model
schedule.py       assigns decoded frames to the clips that want them
"""
