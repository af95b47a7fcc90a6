"""What labels a video: its configuration, and its cost. Independent of Beam.

config.py   the configuration of the steps that label videos
costs.py    the cost of a bundle
"""
