"""Puts MoViNet action labels on a corpus of videos, with Apache Beam.

`reelbeam.pipeline` is the command line and what runs a job; `reelbeam.transforms` is what happens to the data. Their
folders, `pipeline/` and `transforms/`, are at the top of the checkout and are linked here, so that no other project's
`pipeline` or `transforms` can hide them, nor they others.
"""

from reelbeam.pipeline import __version__

__all__ = ["__version__"]
