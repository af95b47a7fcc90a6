"""Puts MoViNet action labels on a corpus of videos, with Apache Beam.

`reelbeam.pipeline` is the command line and what runs a job; `reelbeam.transforms` is what happens to the data. Their
folders, `pipeline/` and `transforms/`, are at the top of the checkout and are linked here, so they cannot hide another
project's `pipeline` or `transforms`, or be hidden by it.
"""

from reelbeam.pipeline import __version__

__all__ = ["__version__"]
