"""Pictures of labeled clips, as the model saw them: frames of a clip side by side, and the whole picture.

making.py            all shown clips, several videos at a time
video_filmstrips.py  the shown clips of one video: probe, plan again, decode
store_health.py      which stores do not respond
recorded_runs.py     how runs sampled their clips, from their documents
tiles.py             which frames are shown, and which part of their pictures
pictures.py          draws and encodes the pictures of a clip
filmstrip.py         the dataclasses
"""
