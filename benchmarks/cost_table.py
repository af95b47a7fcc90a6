"""The table of measured costs that `reelbeam plan` reckons with, from the benchmarks' results.

    python -m benchmarks.cost_table [--check]

Writes pipeline/costs.json; --check only says whether it agrees with benchmarks/results. Per model and engine it holds
the CPU-seconds of a clip (inference*.json; float32 of precision.json for models that are not in there), the mean over
these of what a GFLOP costs, and the CPU-seconds that decoding takes for a second of video (decode.json: A0's clips of
10 s; of the cheapest, the middle and the dearest file).
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
from typing import Any

from transforms.models.catalog import CATALOG

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TABLE = ROOT / "pipeline" / "costs.json"

_DIGITS = 3
_DECODED_WITH = "a0-base"


def main() -> int:
    """Writes the table, or compares it."""
    parser = argparse.ArgumentParser(description="Make pipeline/costs.json from benchmarks/results.")
    parser.add_argument("--check", action="store_true", help="exit with 1 where it does not agree")
    args = parser.parse_args()
    text = json.dumps(make_table(), indent=2) + "\n"
    if args.check:
        return int(TABLE.read_text("utf-8") != text)
    TABLE.write_text(text, "utf-8")
    return 0


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
    raise SystemExit(main())
