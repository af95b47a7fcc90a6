"""What labels a video: its configuration. Independent of Beam.

config.py   the configuration of the steps that label videos
"""
