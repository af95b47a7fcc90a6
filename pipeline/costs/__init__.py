"""What labeling is expected to cost: for `reelbeam plan`, and for the run document.

table.py     measured CPU-seconds (costs.json)
planned.py   the expected cost of the clips of a run
"""
