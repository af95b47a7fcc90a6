"""SVG charts. Positions across are percentages and sizes of text are pixels, so a chart is readable at any width.

svg.py         elements, and the frame of a chart
axes.py        round numbers for axes
bars.py        parts of the corpus: a bar for each
histogram.py   distributions
status.py      videos by status, in one bar
timeline.py    labels over time, in lanes
intervals.py   changes of shares with their intervals
reliability.py scores against the shares of right labels
"""
