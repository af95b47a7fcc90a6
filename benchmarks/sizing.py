"""Compute the vCPU-hours of a corpus and the memory of a worker from the figures in benchmarks/results.

    python -m benchmarks.sizing           prints the tables
    python -m benchmarks.sizing --write   writes them into templates/dataflow/README.md; a test compares

The CPU time of a clip comes from decode.json for the source and from inference.json for the model; the memory comes
from worker.json. A core-hour is that of the measuring machine with one thread on the core. A vCPU is a core on some
machine types, and one of the two hyper-threads of a core on others. For the latter, a core-hour counts as two
vCPU-hours, an upper limit, because two threads on one core do more than one thread.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from reelbeam.pipeline.runners.dataflow_options import cores
from reelbeam.transforms.media.limits import DEFAULT_LIMITS
from reelbeam.transforms.models.registry.catalog import CATALOG

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "templates" / "dataflow" / "README.md"

SOURCES = {"256p": "kinetics_style_256p.mp4", "1080p": "long_1080p.mp4"}
DEARER_SOURCE = "1080p"
DECODED_AT_FPS = 5
"""The frame rate of decode.json. For models with higher rates, its full decode is the upper limit."""
WORKERS = 10
MODELS = tuple(name for name, spec in CATALOG.items() if spec.gflops)
CORPUS_HOURS = (1_000, 10_000, 100_000)


class Machine(NamedTuple):
    """A machine type of Compute Engine: its memory, and the number of vCPUs per core."""

    gigabytes: int
    vcpus_a_core: int


MACHINES = {
    "n2-highcpu-8": Machine(8, 2),
    "n2-standard-8": Machine(32, 2),
    "n2-standard-16": Machine(64, 2),
    "n2-highmem-8": Machine(64, 2),
    "t2d-standard-8": Machine(32, 1),
}
COST_MACHINES = ("n2-standard-8", "n2-standard-16", "t2d-standard-8")
SYSTEM_MB = 1000
"""The approximate memory of Dataflow's services on a worker."""

_BEGIN, _END = "<!-- benchmarks/sizing.py writes from here -->\n", "<!-- to here -->\n"


def main() -> None:
    """Prints the tables, or writes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        README.write_text(with_tables(README.read_text("utf-8")), "utf-8")
    else:
        print(tables())


def with_tables(text: str) -> str:
    """Returns the text of the README with tables from the results."""
    pattern = re.escape(_BEGIN) + ".*?" + re.escape(_END)
    return re.sub(pattern, lambda _: f"{_BEGIN}\n{tables()}\n{_END}", text, flags=re.DOTALL)


def tables() -> str:
    """Returns all tables as Markdown."""
    return "\n".join([*clip_table(), "", *cost_table(), "", *memory_table(), ""])


def clip_table() -> list[str]:
    """Returns the cost of a clip by model and source."""
    sources = " | ".join(f"decoding {source}" for source in SOURCES)
    lines = [f"| CPU-s a clip of 10 s | model | {sources} |", "|---|---|" + "---|" * len(SOURCES)]
    for model in MODELS:
        decoding = " | ".join(f"{decode_seconds(source, model):.3f}" for source in SOURCES)
        lines.append(f"| `{model}` | {model_seconds(model):.3f} | {decoding} |")
    return lines


def cost_table() -> list[str]:
    """Returns vCPU-hours and hours by corpus, model and machine type."""
    lines = [
        f"| corpus ({DEARER_SOURCE}) | model | core-hours | "
        + " | ".join(f"{WORKERS} x `{machine}`" for machine in COST_MACHINES)
        + " |",
        "|---|---|---|" + "---|" * len(COST_MACHINES),
    ]
    for hours in CORPUS_HOURS:
        for model in MODELS:
            cells = []
            for machine in COST_MACHINES:
                total = vcpu_hours(hours, DEARER_SOURCE, model, machine)
                cells.append(f"{total:,.0f} vCPU-h: {total / (WORKERS * cores(machine)):,.1f} h")
            total = core_hours(hours, DEARER_SOURCE, model)
            lines.append(f"| {hours:,} h | `{model}` | {total:,.0f} | {' | '.join(cells)} |")
    return lines


def memory_table() -> list[str]:
    """Returns the memory that the threads or processes of a machine need, and the memory that it has."""
    (worker,) = _load("worker")
    base, thread = worker["base_mb"], worker["thread_mb"]
    lines = [
        "| machine type | memory | one process, a thread a vCPU | a process a vCPU, one thread "
        "| decoders at their limit |",
        "|---|---|---|---|---|",
    ]
    for machine, (gigabytes, _) in MACHINES.items():
        threads = cores(machine)
        one = SYSTEM_MB + base + threads * thread
        many = SYSTEM_MB + threads * (base + thread)
        worst = one + threads * DEFAULT_LIMITS.memory_bytes / 1e6
        cells = [
            f"{need / 1000:.1f} GB" + ("" if need < gigabytes * 1000 else ": too much") for need in (one, many, worst)
        ]
        lines.append(f"| `{machine}` | {gigabytes} GB | {' | '.join(cells)} |")
    return lines


def core_hours(corpus_hours: float, source: str, model: str) -> float:
    """Returns the CPU-hours of decoding and classifying a corpus."""
    preset = CATALOG[model].preset
    clips = corpus_hours * 3600 / float(preset.clip_seconds)
    return clips * (decode_seconds(source, model) + model_seconds(model)) / 3600


def vcpu_hours(corpus_hours: float, source: str, model: str, machine: str) -> float:
    """Returns the maximum vCPU-hours of a machine type for the same corpus."""
    return core_hours(corpus_hours, source, model) * MACHINES[machine].vcpus_a_core


def decode_seconds(source: str, model: str) -> float:
    """Returns the CPU-seconds of decoding a clip, or of a full decode if the model's frame rate is higher."""
    (row,) = (row for row in _load("decode") if row["video"] == SOURCES[source])
    method = "reelbeam" if CATALOG[model].preset.target_fps <= DECODED_AT_FPS else "pyav full"
    return float(row["cpu_seconds"][method] / row["clips"])


def model_seconds(model: str) -> float:
    """Returns the CPU-seconds of a clip in the model."""
    (found,) = (row["openvino"] for row in _load("inference") if row["model"] == model)
    return float(found)


def _load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


if __name__ == "__main__":
    main()
