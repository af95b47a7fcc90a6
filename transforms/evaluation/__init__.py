"""Measure how right labels are, against the truth that a user provides. No Beam.

judged.py        the labels of a video or a clip beside its truth
judging.py       judges the rows of an output
judged_table.py  many judged videos or clips in little memory
truth/           reads the truth
"""
