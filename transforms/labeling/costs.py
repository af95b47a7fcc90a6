"""What decoder processes have cost: from their statistics to a RunCost, and to counters."""

from __future__ import annotations

from reelbeam.transforms import metrics
from reelbeam.transforms.media.decoding.stats import DecodeStats
from reelbeam.transforms.output.run_counts import RunCost


def decoding_cost(stats: DecodeStats) -> RunCost:
    """Returns what decoder processes have cost."""
    return RunCost(
        decode_cpu_seconds=stats.cpu_seconds,
        bytes_fetched=stats.bytes_fetched,
        scale_cpu_seconds=stats.scale_cpu_seconds,
        decoder_wait_seconds=stats.decoder_wait_seconds,
        model_wait_seconds=stats.model_wait_seconds,
        store_wait_seconds=stats.store_wait_seconds,
    )


def count_decoding(cost: RunCost) -> None:
    """Counts what decoder processes have cost. Fetched bytes are counted as they arrive."""
    seconds = {
        metrics.DECODE_CPU_MS: cost.decode_cpu_seconds,
        metrics.SCALE_CPU_MS: cost.scale_cpu_seconds,
        metrics.DECODER_WAIT_MS: cost.decoder_wait_seconds,
        metrics.MODEL_WAIT_MS: cost.model_wait_seconds,
        metrics.STORE_WAIT_MS: cost.store_wait_seconds,
    }
    for name, amount in seconds.items():
        metrics.count(name, round(1000 * (amount or 0.0)))
