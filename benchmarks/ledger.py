"""What the ledger costs: memory of a launcher over a large one, and the time of a night with nothing new.

    python -m benchmarks.ledger [--rows 10000000] [--listed 1000] [--videos 100000]

Memory: a ledger of 10,000 rows and one of `--rows` rows, with the same listing of `--listed` files, all of which the
ledger knows; the peak of the launcher's process, in which local workers run. Time: `--videos` files and a ledger that
knows them all. Every figure is that of `reelbeam label` as a process of its own, from its start to its end.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline import launch, options
from transforms import commits, storage
from transforms.records import RunInfo, VideoRef, VideoSummary
from transforms.run_files import RunPaths, WrittenFile, summarize_files, to_table, write_atomically, write_parquet
from transforms.schemas import video_row

ROWS_PER_RUN = 250_000
SMALL_LEDGER_ROWS = 10_000


def make_files(folder: pathlib.Path, count: int) -> list[VideoRef]:
    """Makes so many files with a video's extension, in subfolders, and returns them as a run lists them."""
    videos = []
    for index in range(count):
        path = folder / f"{index // 1000:04d}" / f"{index:08d}.mp4"
        if index % 1000 == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % index)
        videos.append(storage.stat(str(path)))
    return videos


def run_info(folder: pathlib.Path) -> RunInfo:
    """Returns what a run of the bundled model would write into its rows."""
    args, _ = options.parse_label_flags([str(folder), "--output", str(folder)])
    return launch.prepare_run(options.to_config(args))[1]


def make_ledger(output: pathlib.Path, run: RunInfo, videos: Sequence[VideoRef], num_rows: int) -> None:
    """Commits runs whose rows say that `videos`, and as many others as it takes, are labeled."""
    known = to_table("videos", (video_row(VideoSummary(v, None, "ok", (), 1, 1, None), run) for v in videos))
    commit_rows(output, f"{run.run_id}-known", known)
    random = np.random.default_rng(1)
    for number, start in enumerate(range(len(videos), num_rows, ROWS_PER_RUN)):
        count = min(ROWS_PER_RUN, num_rows - start)
        table = known.take(pa.array(np.zeros(count, np.int64)))
        uris = pa.array([f"/elsewhere/{start + i:09d}.mp4" for i in range(count)])
        keys = pa.array(random.integers(-(2**63), 2**63 - 1, count, np.int64))
        for name, column in (("video_uri", uris), ("uri_key", keys)):
            place = table.schema.get_field_index(name)
            table = table.set_column(place, table.schema.field(name), column)
        commit_rows(output, f"{run.run_id}-{number:04d}", table)


def commit_rows(output: pathlib.Path, run_id: str, table: pa.Table) -> None:
    """Commits rows of the videos table as a run of their own."""
    paths = RunPaths(str(output), run_id)
    write_atomically(paths.staged("videos", 0), lambda sink: write_parquet(table, sink))
    files = [WrittenFile("videos", 0, table.num_rows)]
    row = table.slice(0, 1).to_pylist()[0]
    work = {name: row[name] for name in table.schema.names if name.endswith("_fingerprint") or name == "precision"}
    commits.record_decision(paths, {"run_id": run_id} | work | summarize_files(paths, files), files)
    commits.finish(paths)


def measure(folder: pathlib.Path, output: pathlib.Path) -> dict[str, float]:
    """Runs `reelbeam label`, checks that it skipped everything, and returns its seconds and its peak in MiB."""
    begin, children_before = time.monotonic(), sum(os.times()[2:4])
    command = [sys.executable, "-m", "pipeline", "label", str(folder), "--output", str(output)]
    peak_kib = 0
    with tempfile.TemporaryFile("w+") as told, subprocess.Popen(command, stdout=told) as process:
        # The kernel's own peak, read until the end: what `wait4` tells begins with the memory of this process.
        while process.poll() is None:
            if found := re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/status").read_text()):
                peak_kib = int(found[1])
            time.sleep(0.02)
        seconds = time.monotonic() - begin
        cpu_seconds = sum(os.times()[2:4]) - children_before
        told.seek(0)
        text = told.read()
    assert process.returncode == 0 and "0 videos" in text and "labeled already" in text, (process.returncode, text)
    return {"seconds": round(seconds, 1), "cpu_seconds": round(cpu_seconds, 1), "peak_mib": round(peak_kib / 1024, 1)}


def main() -> None:
    """Prints both measurements as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--listed", type=int, default=1_000)
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--folder", help="where to work; default: a temporary folder")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        place = pathlib.Path(name)
        listed = make_files(place / "listed", args.listed)
        run = run_info(place / "listed")
        result: dict[str, object] = {"listed": args.listed}
        for num_rows in (SMALL_LEDGER_ROWS, args.rows):
            make_ledger(place / f"output-{num_rows}", run, listed, num_rows)
            result[f"ledger of {num_rows} rows"] = measure(place / "listed", place / f"output-{num_rows}")
            print(json.dumps(result), file=sys.stderr, flush=True)
        many = make_files(place / "many", args.videos)
        make_ledger(place / "output-many", run, many, len(many))
        result[f"night with nothing new over {args.videos} videos"] = measure(place / "many", place / "output-many")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
