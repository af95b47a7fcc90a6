"""Measure `reelbeam report` for a small and a large output: time, memory and the size of the page.

    python -m benchmarks.report [--clips 300 1000000] [--clips_per_video 10] [--videos 300] [--output FOLDER]

The videos of the synthetic outputs do not exist, so that their pages have no pictures. A report with pictures is
measured for `--videos` videos of 1280 x 720, which the model `demo` has labeled, or for the output that `--output`
names. Each figure is that of a separate process. `peak_mib` leaves out the processes that it starts; `tree_mib` is the
sum of the proportional set sizes of the process and its decoders, in another run. `content` is the part that reads the
output; its size is that of the content as JSON.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.films import make_film
from benchmarks.label import make_videos
from benchmarks.ledger import measure
from benchmarks.synthetic_output import make_output
from benchmarks.worker import Peak

_CONTENT = """
import dataclasses, json, sys
from reelbeam.transforms.output.report_content.make_content import make_content
from reelbeam.transforms.output.report_content.shown_rows import ShownRows
from reelbeam.transforms.output.tables import Output
content = make_content(ShownRows.current(Output.read(sys.argv[1])))
print(json.dumps({
    "bytes": len(json.dumps(dataclasses.asdict(content))),
    "shown_clips": len({clip.key for clip in content.clips()}),
    "videos": content.totals.videos,
    "clips": content.totals.clips,
}))
"""

Costs = dict[str, dict[str, float]]


def measure_output(output: pathlib.Path, page: pathlib.Path) -> Costs:
    """Returns the cost of the content of an output, and that of its report, which is written to `page`."""
    cost, printed = measure(["-c", _CONTENT, str(output)])
    of_report, _ = measure(["-m", "reelbeam", "report", str(output), "--to", str(page)])
    return {"content": cost | json.loads(printed), "report": of_report | {"bytes": page.stat().st_size}}


def measure_pictures(place: pathlib.Path, num_videos: int) -> dict[str, float]:
    """Returns the cost of a report with as many pictures as possible, of videos that last a minute."""
    videos, output, page = place / "videos", place / "labels", place / "pictures.html"
    make_videos(videos, make_film(place / "film.mp4", 1, 1280, 720), num_videos)
    measure(["-m", "reelbeam", "label", str(videos), "--model=demo", f"--output={output}", "--clips_per_video=10"])
    command = ["-m", "reelbeam", "report", str(output), "--to", str(page), "--clips=300"]
    cost, _ = measure(command)
    shown = page.read_text("utf-8").count('class="strip"')
    return cost | {
        "tree_mib": _measure_tree(command),
        "bytes": page.stat().st_size,
        "clips": shown,
        "videos": num_videos,
    }


def _measure_tree(arguments: Sequence[str]) -> float:
    """Returns the peak memory of Python and of the processes that it starts, in MiB."""
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL) as process:
        peak = Peak(process.pid)
        assert process.wait() == 0
        return round(peak.stop() * 1e6 / 2**20, 1)


def _ratios(first: Costs, last: Costs) -> Costs:
    return {
        part: {name: round(cost[name] / first[part][name], 2) for name in ("seconds", "peak_mib", "bytes")}
        for part, cost in last.items()
    }


def main() -> None:
    """Prints the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="*", default=[300, 1_000_000])
    parser.add_argument("--clips_per_video", type=int, default=10)
    parser.add_argument("--videos", type=int, default=300, help="videos of the report with pictures; 0: none")
    parser.add_argument("--output", type=pathlib.Path, help="an output to measure instead of synthetic ones")
    parser.add_argument("--folder", help="the working folder; default: a temporary folder")
    args = parser.parse_args()
    found: dict[str, Costs] = {}
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        page = pathlib.Path(name, "report.html")
        outputs = {str(args.output): args.output} if args.output else {}
        for num_clips in [] if args.output else args.clips:
            outputs[f"{num_clips} clips"] = output = pathlib.Path(name, str(num_clips))
            make_output(output, num_clips // args.clips_per_video, num_clips)
        for what, output in outputs.items():
            found[what] = measure_output(output, page)
            print(json.dumps({what: found[what]}), file=sys.stderr, flush=True)
        costs = list(found.values())
        result: dict[str, Costs] = found | ({"last / first": _ratios(costs[0], costs[-1])} if len(costs) > 1 else {})
        if args.videos and not args.output:
            result["with pictures"] = {"report": measure_pictures(pathlib.Path(name), args.videos)}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
