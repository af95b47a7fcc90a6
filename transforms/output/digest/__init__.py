"""The content of `reelbeam report`: what is in an output, as dataclasses. No pictures and no HTML.

content.py      the dataclasses of a report
changes.py      the dataclasses of a comparison
"""
