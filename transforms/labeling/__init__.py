"""What labels a video, from an element that names it to its rows. Independent of Beam.

config.py           the configuration of the steps that label videos
costs.py            what decoders of a bundle have cost
elements.py         an element of another pipeline -> the video that it names
video_plan.py       the clips of a video, as segments
video_decoder.py    plans and decodes videos
clip_classifier.py  runs clips through a model
summary.py          the plan, scores and failures of a video -> its summary
video_labeler.py    labels whole videos in this process
row_types.py        the rows as named tuples
bigquery.py         the schemas of their tables in BigQuery
"""
