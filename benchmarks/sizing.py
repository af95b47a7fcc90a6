"""How many vCPU-hours a corpus takes and how much memory a worker needs, from the figures in benchmarks/results.

    python -m benchmarks.sizing           prints the tables
    python -m benchmarks.sizing --write   puts them into templates/dataflow/README.md; a test compares

Nothing is measured here. CPU time of a clip is decode.json's for the source and inference.json's for the model (or
precision.json's); memory is worker.json's. A core of the machine that measured counts as one vCPU.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from pipeline.dataflow import MACHINE_TYPE, cores
from transforms.media.limits import DEFAULT_LIMITS
from transforms.models.catalog import CATALOG

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "templates" / "dataflow" / "README.md"

SOURCES = {"256p": "kinetics_style_256p.mp4", "1080p": "long_1080p.mp4"}
WORKERS = 10
MODELS = ("a0-base", "a2-base")
CORPUS_HOURS = (1_000, 10_000, 100_000)
MACHINES_GB = {"n2-highcpu-8": 8, "n2-standard-8": 32, "n2-standard-16": 64, "n2-highmem-8": 64}
"""Memory by machine type, as Compute Engine documents it."""
SYSTEM_MB = 1000
"""What Dataflow's own services take of a worker, about."""

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
    """Returns the README's text with the tables as the results say."""
    pattern = re.escape(_BEGIN) + ".*?" + re.escape(_END)
    return re.sub(pattern, lambda _: f"{_BEGIN}\n{tables()}\n{_END}", text, flags=re.DOTALL)


def tables() -> str:
    """Returns both tables as Markdown."""
    return "\n".join([*cost_table(), "", *memory_table(), ""])


def cost_table() -> list[str]:
    """Returns vCPU-hours by corpus, source and model."""
    lines = [
        "| corpus | source | model | decoding, CPU-s a clip | model, CPU-s a clip | vCPU-hours "
        f"| on {WORKERS} x `{MACHINE_TYPE}` |",
        "|---|---|---|---|---|---|---|",
    ]
    for hours in CORPUS_HOURS:
        for source in SOURCES:
            for model in MODELS:
                decode, infer = decode_seconds(source), model_seconds(model)
                total = vcpu_hours(hours, source, model)
                clock = total / (WORKERS * cores(MACHINE_TYPE))
                costs = f"{decode:.3f} | {infer:.3f} | {total:,.0f} | {clock:,.1f} h"
                lines.append(f"| {hours:,} h | {source} | `{model}` | {costs} |")
    return lines


def memory_table() -> list[str]:
    """Returns what the threads or processes of a machine take, and what it has."""
    (worker,) = _load("worker")
    base, thread = worker["base_mb"], worker["thread_mb"]
    lines = [
        "| machine type | memory | one process, a thread a vCPU | a process a vCPU, one thread "
        "| decoders at their limit |",
        "|---|---|---|---|---|",
    ]
    for machine, gigabytes in MACHINES_GB.items():
        threads = cores(machine)
        one = SYSTEM_MB + base + threads * thread
        many = SYSTEM_MB + threads * (base + thread)
        worst = one + threads * DEFAULT_LIMITS.memory_bytes / 1e6
        cells = [
            f"{need / 1000:.1f} GB" + ("" if need < gigabytes * 1000 else ": too much") for need in (one, many, worst)
        ]
        lines.append(f"| `{machine}` | {gigabytes} GB | {' | '.join(cells)} |")
    return lines


def vcpu_hours(corpus_hours: float, source: str, model: str) -> float:
    """Returns the CPU time, in hours, of decoding a corpus and putting it through a model, clip after clip."""
    preset = CATALOG[model].preset
    clips = corpus_hours * 3600 / float(preset.num_frames / preset.target_fps)
    return clips * (decode_seconds(source) + model_seconds(model)) / 3600


def decode_seconds(source: str) -> float:
    """Returns CPU-seconds of decoding a clip."""
    (row,) = (row for row in _load("decode") if row["video"] == SOURCES[source])
    return float(row["cpu_seconds"]["reelbeam"] / row["clips"])


def model_seconds(model: str) -> float:
    """Returns CPU-seconds of a clip in the model."""
    found = [row["openvino"] for row in _load("inference") if row["model"] == model]
    found += [row["float32_cpu_seconds"] for row in _load("precision") if row["model"] == model]
    return float(found[0])


def _load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


if __name__ == "__main__":
    main()
