"""Measure the content of a report for a small and a large output: time, peak memory and size.

    python -m benchmarks.report [--clips 300 1000000] [--clips_per_video 10] [--output FOLDER]

Each figure is that of a separate process. The size is that of the content as JSON, without pictures. With `--output`,
that output is measured instead of synthetic ones.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import tempfile

from benchmarks.ledger import measure
from benchmarks.synthetic_output import make_output

_MAKE = """
import dataclasses, json, sys
from reelbeam.transforms.output.digest.digest import make_content
from reelbeam.transforms.output.digest.shown_rows import ShownRows
from reelbeam.transforms.output.tables import Output
content = make_content(ShownRows.current(Output.read(sys.argv[1])))
keys = {(clip.key, clip.start_ms) for clip in content.clips()}
found = {"json_bytes": len(json.dumps(dataclasses.asdict(content))), "shown_clips": len(keys)}
print(json.dumps(found | {"videos": content.totals.videos, "clips": content.totals.clips}))
"""


def measure_content(output: pathlib.Path) -> dict[str, float]:
    """Returns the cost of the content of an output, its size, and the numbers of videos and clips."""
    cost, printed = measure(["-c", _MAKE, str(output)])
    return cost | json.loads(printed)


def main() -> None:
    """Prints the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="*", default=[300, 1_000_000])
    parser.add_argument("--clips_per_video", type=int, default=10)
    parser.add_argument("--output", type=pathlib.Path, help="an output to measure instead of synthetic ones")
    parser.add_argument("--folder", help="the working folder; default: a temporary folder")
    args = parser.parse_args()
    found: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        for num_clips in [None] if args.output else args.clips:
            output = args.output or pathlib.Path(name, str(num_clips))
            if num_clips:
                make_output(output, num_clips // args.clips_per_video, num_clips)
            found.append(measure_content(output))
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    ratios = {f"{key}_ratio": round(found[-1][key] / found[0][key], 2) for key in ("seconds", "peak_mib", "json_bytes")}
    print(json.dumps({"outputs": found} | ratios, indent=2))


if __name__ == "__main__":
    main()
