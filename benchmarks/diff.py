"""Measure the comparison of two outputs: time and peak memory of `reelbeam diff`, and of the part of a report.

    python -m benchmarks.diff [--videos 1000 100000] [--clips_per_video 10]

Each figure is that of a separate process. The second output has a tenth more videos than the first one.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import tempfile

from benchmarks.ledger import measure
from benchmarks.synthetic_output import make_output

_FIND = """
import sys
from reelbeam.transforms.output.comparison.find_changes import find_changes
from reelbeam.transforms.output.comparison.selection import select_sides
found = find_changes(*select_sides(*sys.argv[1:]))
print(found.drift.verdict, len(found.changed), sum(each.clip is not None for each in found.changed))
"""


def main() -> None:
    """Prints the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, nargs="*", default=[1000, 100_000])
    parser.add_argument("--clips_per_video", type=int, default=10)
    parser.add_argument("--folder", help="the working folder; default: a temporary folder")
    args = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        for number in args.videos:
            outputs = [pathlib.Path(name, f"{number}-{side}") for side in ("before", "after")]
            for output, videos in zip(outputs, (number, number * 11 // 10), strict=True):
                make_output(output, videos, videos * args.clips_per_video)
            paths = [str(output) for output in outputs]
            table, _ = measure(["-m", "reelbeam", "diff", *paths])
            as_json, printed = measure(["-m", "reelbeam", "diff", *paths, "--json"])
            changes, _ = measure(["-c", _FIND, *paths])
            verdict = json.loads(printed)["drift"]["verdict"]
            found.append(
                {"videos": number, "verdict": verdict, "diff": table, "diff_json": as_json, "find_changes": changes}
            )
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"outputs": found}, indent=2))


if __name__ == "__main__":
    main()
