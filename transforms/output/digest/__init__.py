"""The content of `reelbeam report`: what is in an output, as dataclasses. No pictures and no HTML.

content.py      the dataclasses of a report
shown_rows.py   the rows that a report shows, read batch by batch
changes.py      the dataclasses of a comparison
"""
