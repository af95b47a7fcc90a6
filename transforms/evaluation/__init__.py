"""Measure how right labels are, against the truth that a user provides. No Beam.

evaluated_output.py  from an output and a truth file to all statistics, with what could not be used
judged.py            the labels of a video or a clip beside its truth
judging.py           judges the rows of an output
judged_table.py      many judged videos or clips in little memory
truth/               reads the truth
evaluation.py        all statistics together
intervals.py         shares and means with intervals, over videos or by a bootstrap of videos
accuracy.py          top-1 and top-k accuracy
per_class.py         precision, recall and average precision of each class
confusions.py        which labels are said instead of the right ones
calibration.py       whether scores and accuracy agree
thresholds.py        the lowest score for a promised precision
comparison.py        two outputs on the same items
novelty.py           what separates videos of none of the classes
truth_checks.py      signs that the truth or the order of labels is wrong
"""
