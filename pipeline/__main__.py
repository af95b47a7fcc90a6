"""`python -m pipeline` is `reelbeam`."""

from pipeline.shadowing import require_own

require_own("transforms")

from pipeline.cli import entry_point  # noqa: E402

entry_point()
