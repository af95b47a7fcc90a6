"""Measure what commands cost besides their work: the start of those that read local files, and a run over one video.

    python -m benchmarks.startup [--model a0-base=FOLDER] [--source VIDEO] [--repeats 5] [--json FILE]

Each figure is that of a separate process, including its children, and the best of --repeats. In each round, all sides
are measured in turn:
    beam        `import apache_beam`
    commands    those that read local files, on an output of the bundled videos
    run         `reelbeam label` on one video, with the converted model in the cache: CPU-seconds above those of
                decoding and inference that its JSON has
Measured are seconds by the clock and CPU-seconds. On an idle machine both are about the same for one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks.clips import named_models
from benchmarks.label import make_videos, model_flags

ROOT = pathlib.Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "pipeline" / "demo" / "videos"
COMMANDS = ("status {0}", "verify {0}", "sql {0}", "diff {0} {0}", "models", "--help", "status --help", "label --help")


class Cost(NamedTuple):
    """The cost of a process, with its children.

    Attributes:
      seconds: by the clock.
      cpu_seconds: user and system time.
    """

    seconds: float
    cpu_seconds: float


def main() -> None:
    """Measures, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo", metavar="NAME[=FOLDER]", help="the model of the run; default demo")
    parser.add_argument("--source", type=pathlib.Path, metavar="VIDEO", help="default: a generated video of 10 s")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="default 5")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    (spec,) = named_models([args.model])
    with tempfile.TemporaryDirectory(prefix="reelbeam-startup-") as scratch:
        (video,) = make_videos(pathlib.Path(scratch, "videos"), args.source, 1)
        result = measure(video, model_flags(spec), pathlib.Path(scratch), args.repeats)
    result["run"]["model"] = spec.name
    print_table(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


def measure(video: pathlib.Path, flags: Sequence[str], scratch: pathlib.Path, repeats: int) -> dict[str, Any]:
    """Returns the best costs of all sides."""
    output = scratch / "output"
    cost_of(["-m", "reelbeam", "label", str(SAMPLES), "--model=demo", "--output", str(output)])
    beam: list[Cost] = []
    commands: dict[str, list[Cost]] = {command: [] for command in COMMANDS}
    runs: list[dict[str, float]] = []
    label(video, flags, scratch / "first")  # fills the cache of converted models
    for number in range(repeats):
        beam.append(cost_of(["-c", "import apache_beam"]))
        for command, costs in commands.items():
            costs.append(cost_of(["-m", "reelbeam", *command.format(output).split()]))
        runs.append(label(video, flags, scratch / str(number)))
    return {
        "load": os.getloadavg()[0],
        "beam": best(beam),
        "commands": {command.format("OUTPUT"): best(costs) for command, costs in commands.items()},
        "run": {name: min(run[name] for run in runs) for name in runs[0]},
    }


def best(costs: Sequence[Cost]) -> dict[str, float]:
    """Returns the lowest figures of some processes."""
    return {name: min(getattr(cost, name) for cost in costs) for name in Cost._fields}


def label(video: pathlib.Path, flags: Sequence[str], output: pathlib.Path) -> dict[str, float]:
    """Returns the cost of a run over one video: above decoding and inference, and by the clock."""
    cost = cost_of(["-m", "reelbeam", "label", str(video), *flags, "--output", str(output)])
    (document,) = output.glob("runs/*.json")
    own = json.loads(document.read_text("utf-8"))["cost"]
    work = own["decode_cpu_seconds"] + own["model_cpu_seconds"]
    return {"cpu_seconds_above_work": cost.cpu_seconds - work, "seconds": cost.seconds}


def cost_of(arguments: Sequence[str]) -> Cost:
    """Runs Python in its own process, and returns the cost. Exits if it fails."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT)
    seconds = time.monotonic() - start
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed: {done.stdout}{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def print_table(result: dict[str, Any]) -> None:
    """Prints the results, and their ratios to the import of Beam."""
    beam = result["beam"]["cpu_seconds"]
    print(f"{os.cpu_count()} CPUs, load {result['load']:.1f}")
    for command, cost in [("import apache_beam", result["beam"]), *result["commands"].items()]:
        ratio = cost["cpu_seconds"] / beam
        print(f"{command:24} {cost['seconds']:6.2f} s, {cost['cpu_seconds']:.2f} CPU s = {ratio:.2f} of Beam's import")
    run = result["run"]
    above = run["cpu_seconds_above_work"]
    print(
        f"label, one video         {run['seconds']:6.2f} s, {above:.2f} CPU s above decoding and inference = "
        f"{above / beam:.2f} of Beam's import ({run['model']})"
    )


if __name__ == "__main__":
    main()
