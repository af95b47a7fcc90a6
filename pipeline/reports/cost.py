"""The cost of runs as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from reelbeam.transforms.output.run_counts import Counts, PlannedCost, RunCost
from reelbeam.transforms.wording import short_duration

_HOUR_MS = 3_600_000

_CLEARLY = 2
"""One side waits clearly longer than the other if it waits this many times as long."""


class CostlyRun(Protocol):
    """What is needed of a run: its counts, and its measured and planned cost, or None."""

    @property
    def counts(self) -> Counts: ...  # noqa: D102

    @property
    def cost(self) -> RunCost | None: ...  # noqa: D102

    @property
    def planned_cost(self) -> PlannedCost | None: ...  # noqa: D102


def cost_lines(runs: Sequence[CostlyRun]) -> list[str]:
    """Returns the cost of runs: per hour of video, as a sum next to the plan's estimate, and who waited for whom.

    Runs that did not measure their cost are left out. The list is empty if no run measured it, or none has videos.
    """
    measured = [(run.cost, run.counts) for run in runs if run.cost is not None]
    first = cost_text(measured)
    if not first:
        return []
    total = RunCost.total(cost for cost, _ in measured)
    planned = [run.planned_cost for run in runs if run.cost is not None]
    return [first, total_text(total, planned), waiting_text(total)]


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


def total_text(total: RunCost, planned: Sequence[PlannedCost | None]) -> str:
    """Returns the CPU time of runs, its parts, and the estimate of `reelbeam plan` for the same clips.

    Args:
      total: the measured cost.
      planned: the estimate of each run; None for a run without one.

    >>> total_text(RunCost(80.0, 1200.0, scale_cpu_seconds=30.0), [PlannedCost(60.0, 1300.0)])
    'CPU time: 21.3 min, planned 22.7 min: decoding 50 s, scaling 30 s, model 20 min'
    """
    seconds = total.decode_cpu_seconds + total.model_cpu_seconds
    known = [each.cpu_seconds for each in planned if each is not None]
    sums = [amount for amount in known if amount is not None]
    estimate = short_duration(sum(sums)) if len(sums) == len(planned) else "unknown"
    scaling = total.scale_cpu_seconds
    parts = [f"decoding {short_duration(total.decode_cpu_seconds - (scaling or 0))}"]
    parts.append(f"scaling {'unknown' if scaling is None else short_duration(scaling)}")
    parts.append(f"model {short_duration(total.model_cpu_seconds)}")
    return f"CPU time: {short_duration(seconds)}, planned {estimate}: {', '.join(parts)}"


def waiting_text(total: RunCost) -> str:
    """Returns who waited for whom, and what is the bottleneck.

    >>> waiting_text(RunCost(1.0, 2.0, decoder_wait_seconds=3.0, model_wait_seconds=80.0, store_wait_seconds=0.0))
    'Waiting: workers 3 s for decoding, decoders 1.33 min for the model; the model is the bottleneck'
    >>> waiting_text(RunCost(1.0, 2.0))
    'Waiting: unknown'
    """
    worker, decoder, store = total.decoder_wait_seconds, total.model_wait_seconds, total.store_wait_seconds
    if worker is None or decoder is None:
        return "Waiting: unknown"
    parts = [f"workers {short_duration(worker)} for decoding", f"decoders {short_duration(decoder)} for the model"]
    if store:
        parts.insert(1, f"{short_duration(store)} for the store")
    return f"Waiting: {', '.join(parts)}; {bottleneck(total)}"


def bottleneck(total: RunCost) -> str:
    """Returns which part limits the speed: what the others wait for clearly longer than it waits for them."""
    waits = {
        "decoding": total.decoder_wait_seconds or 0.0,
        "the model": total.model_wait_seconds or 0.0,
        "the store": total.store_wait_seconds or 0.0,
    }
    (first, longest), (_, second), _ = sorted(waits.items(), key=lambda item: item[1], reverse=True)
    return f"{first} is the bottleneck" if longest > _CLEARLY * second else "no part is clearly the bottleneck"
