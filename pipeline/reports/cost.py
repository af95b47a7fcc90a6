"""The CPU time of runs as text."""

from __future__ import annotations

from collections.abc import Iterable

from reelbeam.transforms.output.run_counts import Counts, RunCost
from reelbeam.transforms.wording import short_duration

_HOUR_MS = 3_600_000


def cost_text(runs: Iterable[tuple[RunCost | None, Counts]]) -> str:
    """Returns the CPU time of runs per hour of their videos.

    Args:
      runs: the costs and the counts of the runs. Runs that did not measure their cost are left out.

    Returns:
      The text; "" if no run measured its cost, or none has videos with a duration.

    >>> counts = Counts(1, 1, 1, 0, 0, 1, 0, 1_800_000, 1, 0, 1, 0)
    >>> cost_text([(RunCost(19.0, 1200.0), counts), (None, counts)])
    'CPU time per hour of video: 38 s decoding, 40 min model'
    """
    measured = [(cost, counts) for cost, counts in runs if cost is not None]
    hours = sum(counts.video_ms for _, counts in measured) / _HOUR_MS
    if not hours:
        return ""
    total = RunCost.total(cost for cost, _ in measured)
    decoding, model = (
        short_duration(seconds / hours) for seconds in (total.decode_cpu_seconds, total.model_cpu_seconds)
    )
    return f"CPU time per hour of video: {decoding} decoding, {model} model"
