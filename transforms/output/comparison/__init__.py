"""What changed between two runs, or between two outputs: the content of `reelbeam diff`, and a part of a report.

differences.py  the content of `reelbeam diff`: all differences
find_changes.py the part of a report: numbers and examples (changes.py: its dataclasses)
selection.py    the two sides by name
side_rows.py    the rows of one side, and the videos in both (settings.py: the differences of model and sampling)
drift.py        whether the corpus drifted (samples.py: what is compared)
shares.py       the statistics of shares, such as that of a label
distances.py    the statistics of numbers, such as a duration
wording.py      the verdict as a sentence
"""
