"""Which instants of a video its clips show. Pure functions on exact rationals; no file is read.

clips.py     the clips of a video
stream.py    the same for Stream models, whose clips continue one another
segments.py  how a long video is cut into units of work
schedule.py  which clip waits for the frame at hand
"""
