"""Write the table of measured costs for the estimates of `reelbeam plan`, and the figures in docs/.

    python -m benchmarks.cost_table

Both are generated from benchmarks/results; tests compare them. `tools/make_docs.py` writes the figures. For each model
and engine, pipeline/costs/costs.json has the CPU-seconds of a clip (from inference*.json, or float32 of
precision.json), the mean CPU-seconds of a GFLOP, and the CPU-seconds of decoding a second of video (from decode.json:
A0's clips of 10 s; minimum, median and maximum over the files).
"""

from __future__ import annotations

import json
import pathlib
import statistics
from typing import Any

from reelbeam.transforms.models.registry.catalog import CATALOG
from tools import make_docs

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TABLE = ROOT / "pipeline" / "costs" / "costs.json"

_DIGITS = 3
_DECODED_WITH = "a0-base"


def main() -> None:
    """Writes the table and the pages."""
    TABLE.write_text(json.dumps(make_table(), indent=2) + "\n", "utf-8")
    for page, text in make_docs.stale_pages().items():
        page.write_text(text, "utf-8")


def make_table() -> dict[str, Any]:
    """Returns the table as JSON values."""
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
