"""`python -m reelbeam` is the command `reelbeam`."""

from reelbeam.pipeline.cli import entry_point

entry_point()
