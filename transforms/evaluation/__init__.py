"""Measure how right labels are, against the truth that a user provides. No Beam.

judged.py       the labels of a video or a clip beside its truth
"""
