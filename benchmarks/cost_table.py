"""The table of measured costs that `reelbeam plan` reckons with, and the README's tables of models.

    python -m benchmarks.cost_table

Writes both, from benchmarks/results; tests compare. Per model and engine pipeline/commands/costs.json holds
the CPU-seconds of a clip (inference*.json; float32 of precision.json for models that are not in there), the mean over
these of what a GFLOP costs, and the CPU-seconds that decoding takes for a second of video (decode.json: A0's clips of
10 s; of the cheapest, the middle and the dearest file).
"""

from __future__ import annotations

import json
import pathlib
import re
import statistics
from typing import Any

from reelbeam.transforms.models.registry.catalog import CATALOG

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TABLE = ROOT / "pipeline" / "commands" / "costs.json"
README = ROOT / "README.md"

_DIGITS = 3
_DECODED_WITH = "a0-base"


def main() -> None:
    """Writes the tables."""
    TABLE.write_text(json.dumps(make_table(), indent=2) + "\n", "utf-8")
    text = README.read_text("utf-8")
    for table in (models_table(), inference_table()):
        head = re.escape(table.partition("\n")[0])
        text = re.sub(rf"(?<=\n){head}\n.+?\n(?=\n)", lambda _, table=table: table, text, flags=re.DOTALL)  # type: ignore[misc]
    README.write_text(text, "utf-8")


def make_table() -> dict[str, Any]:
    """Returns the table, as JSON keeps it."""
    per_clip: dict[str, dict[str, float]] = {"openvino": {}, "tensorflow": {}}
    for entry in _read("precision.json"):
        per_clip["openvino"][entry["model"]] = _short(entry["float32_cpu_seconds"])
    for path in sorted(RESULTS.glob("inference*.json")):
        for entry in _read(path.name):
            for engine, found in per_clip.items():
                if entry[engine] is not None:
                    found[entry["model"]] = _short(entry[engine])
    return {
        "seconds_per_clip": {engine: dict(sorted(found.items())) for engine, found in per_clip.items()},
        "seconds_per_gflop": {engine: _per_gflop(found) for engine, found in per_clip.items()},
        "decode_seconds_per_video_second": _decode(),
    }


def models_table() -> str:
    """Returns what there is to choose from, as Markdown: what each model takes, costs and knows."""
    costs = make_table()["seconds_per_clip"]["openvino"]
    lines = [
        "| model | frames | fps | resize → size | GFLOPs a clip | CPU-s an hour of video | top-1 % |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, spec in CATALOG.items():
        preset = spec.preset
        an_hour = f"{costs[name] * 3600 / float(preset.clip_seconds):,.0f}" if name in costs else "–"
        gflops = f"{spec.gflops:g}" if spec.gflops else "–"
        top1 = f"{spec.top1_percent:.2f}" if spec.top1_percent else "–"
        sizes = f"{preset.num_frames} | {preset.target_fps} | {preset.resize} → {preset.size}"
        lines.append(f"| `{name}` | {sizes} | {gflops} | {an_hour} | {top1} |")
    return "\n".join(lines) + "\n"


def inference_table() -> str:
    """Returns what a clip costs, ours and others, as Markdown."""
    lines = [
        "| model | CPU-s a clip | benchmark_app's | ours / its | clips/s, 2 cores | TensorFlow's | its / ours |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in _read("inference.json"):
        ours, app, theirs = entry["openvino"], entry["benchmark_app"], entry["tensorflow"]
        other = f"{theirs:.1f} | {theirs / ours:.0f}" if theirs else "– | –"
        rate = entry["clips_per_second"]
        lines.append(f"| `{entry['model']}` | {ours:.3f} | {app:.3f} | {ours / app:.2f} | {rate:.2f} | {other} |")
    return "\n".join(lines) + "\n"


def _per_gflop(found: dict[str, float]) -> float:
    base = {name: cost for name, cost in found.items() if CATALOG[name].gflops and CATALOG[name].kind == "base"}
    return _short(statistics.mean(cost / (CATALOG[name].gflops or 1) for name, cost in base.items()))


def _decode() -> dict[str, float]:
    preset = CATALOG[_DECODED_WITH].preset
    clip_seconds = float(preset.num_frames / preset.target_fps)
    costs = [entry["cpu_seconds"]["reelbeam"] / (entry["clips"] * clip_seconds) for entry in _read("decode.json")]
    return {"low": _short(min(costs)), "typical": _short(statistics.median(costs)), "high": _short(max(costs))}


def _read(name: str) -> list[dict[str, Any]]:
    return json.loads((RESULTS / name).read_text("utf-8"))


def _short(seconds: float) -> float:
    return float(f"{seconds:.{_DIGITS}g}")


if __name__ == "__main__":
    main()
