"""Measure the cost of the ledger and the listing: the launcher's memory and the time of a run with nothing new.

    python -m benchmarks.ledger [--rows 10000000] [--listed 1000] [--videos 100000 1000000]

The ledger is measured with 10,000 rows and with `--rows` rows, for a listing of `--listed` labeled files. The listing
is measured with `--videos` files that are all labeled, and with the same number of unlabeled files until their
selection is written. The memory is the peak of the launcher's process, in which local workers run. Each figure is that
of a separate process, from its start to its end.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from reelbeam.pipeline.flags import options
from reelbeam.pipeline.job.labeling import select
from reelbeam.pipeline.job.preparation import check_request, prepare
from reelbeam.pipeline.runners.registry import runner_of
from reelbeam.transforms import storage
from reelbeam.transforms.output import commits
from reelbeam.transforms.output.run_counts import Counts
from reelbeam.transforms.output.run_document import RunDocument, RunFacts
from reelbeam.transforms.output.run_files import (
    RunPaths,
    WrittenFile,
    summarize_files,
    to_table,
    write_atomically,
    write_parquet,
)
from reelbeam.transforms.records import RunInfo, VideoRef, VideoSummary
from reelbeam.transforms.schemas import SCHEMA_VERSION, video_row

SAMPLES = pathlib.Path(__file__).resolve().parents[1] / "pipeline" / "demo" / "videos"
ROWS_PER_RUN = 250_000
SMALL_LEDGER_ROWS = 10_000


def make_files(folder: pathlib.Path, count: int) -> Iterator[VideoRef]:
    """Creates `count` files with a video's extension in subfolders, and yields them as listed by a run."""
    for index in range(count):
        path = folder / f"{index // 1000:04d}" / f"{index:08d}.mp4"
        if index % 1000 == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % index)
        yield storage.video_of(storage.stat(str(path)))


def run_info(folder: pathlib.Path) -> RunInfo:
    """Returns the facts of a run with the bundled model."""
    args, beam_flags = options.parse_flags([str(SAMPLES), "--model=demo", "--output", str(folder)])
    return prepare(check_request(options.to_config(args), runner_of(beam_flags))).run


def make_ledger(output: pathlib.Path, run: RunInfo, videos: Iterable[VideoRef], num_others: int = 0) -> None:
    """Commits runs with rows for `videos` and for other videos."""
    videos = iter(videos)
    for number in itertools.count():
        known = [
            video_row(VideoSummary(video, None, "ok", (), 1, 1, None), run)
            for video in itertools.islice(videos, ROWS_PER_RUN)
        ]
        if not known:
            break
        table = to_table("videos", known)
        commit_rows(output, f"{run.run_id}-known{number}", table)
    random = np.random.default_rng(1)
    for start in range(0, num_others, ROWS_PER_RUN):
        count = min(ROWS_PER_RUN, num_others - start)
        others = table.take(pa.array(np.zeros(count, np.int64)))
        uris = pa.array([f"/elsewhere/{start + i:09d}.mp4" for i in range(count)])
        keys = pa.array(random.integers(-(2**63), 2**63 - 1, count, np.int64))
        for name, column in (("video_uri", uris), ("uri_key", keys)):
            place = others.schema.get_field_index(name)
            others = others.set_column(place, others.schema.field(name), column)
        commit_rows(output, f"{run.run_id}-other{start:09d}", others)


def commit_rows(output: pathlib.Path, run_id: str, table: pa.Table) -> None:
    """Commits rows of the videos table as one run."""
    paths = RunPaths(str(output), run_id)
    write_atomically(paths.staged("videos", 0), lambda sink: write_parquet(table, sink))
    files = [WrittenFile("videos", 0, table.num_rows)]
    row = table.slice(0, 1).to_pylist()[0]
    found = summarize_files(paths, files)
    names = {field.name for field in dataclasses.fields(RunFacts)} & row.keys()
    document = RunDocument(
        **{name: row[name] for name in names} | {"run_id": run_id, "labeled_at": row["labeled_at"].isoformat()},
        started_at=row["labeled_at"].isoformat(),
        **found._asdict() | {"counts": Counts(inputs=table.num_rows, **found.counts, skipped=0)},
        schema_version=SCHEMA_VERSION,
        finished_at=row["labeled_at"].isoformat(),
        selected={"new": table.num_rows},
        skipped={},
    )
    commits.write_commit_record(paths, document, files)
    commits.finish(paths)


def nothing_new(folder: pathlib.Path, output: pathlib.Path) -> dict[str, float]:
    """Measures `reelbeam label` if everything is labeled."""
    cost, printed = measure(["-m", "reelbeam", "label", "--model=demo", str(folder), "--output", str(output)])
    assert "Nothing new" in printed and "labeled already" in printed, printed
    return cost


def nothing_labeled(folder: pathlib.Path, output: pathlib.Path, count: int) -> dict[str, float]:
    """Measures the first job of a run that has `count` videos to label."""
    cost, printed = measure(["-c", f"from benchmarks import ledger; ledger.choose({str(folder)!r}, {str(output)!r})"])
    assert printed.split() == [str(count)], printed
    return cost


def choose(folder: str, output: str) -> None:
    """Writes the selection as a run does, and prints its number of videos."""
    args, beam_flags = options.parse_flags([folder, "--model=demo", "--output", output])
    prepared = prepare(check_request(options.to_config(args), runner_of(beam_flags)))
    print(sum(num_videos for _, num_videos in select(prepared).parts))


def measure(arguments: Sequence[str]) -> tuple[dict[str, float], str]:
    """Runs Python. Returns its seconds, its peak memory in MiB, and its output."""
    begin, children_before = time.monotonic(), sum(os.times()[2:4])
    peak_kib = 0
    with (
        tempfile.TemporaryFile("w+") as printed,
        subprocess.Popen([sys.executable, *arguments], stdout=printed) as process,
    ):
        # The kernel's peak, read until the end: the value of `wait4` includes the memory of this process.
        while process.poll() is None:
            if found := re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/status").read_text()):
                peak_kib = int(found[1])
            time.sleep(0.02)
        seconds = time.monotonic() - begin
        cpu_seconds = sum(os.times()[2:4]) - children_before
        printed.seek(0)
        text = printed.read()
    assert process.returncode == 0, (process.returncode, text)
    cost = {"seconds": round(seconds, 1), "cpu_seconds": round(cpu_seconds, 1), "peak_mib": round(peak_kib / 1024, 1)}
    return cost, text


def measure_ledgers(place: pathlib.Path, num_listed: int, num_rows: Sequence[int]) -> Iterator[tuple[str, Any]]:
    """Yields the costs of ledgers."""
    listed = list(make_files(place / "listed", num_listed))
    yield "listed", num_listed
    for number in num_rows:
        output = place / f"output-{number}"
        make_ledger(output, run_info(place / "listed"), listed, number - num_listed)
        yield f"ledger of {number} rows", nothing_new(place / "listed", output)


def measure_listings(place: pathlib.Path, counts: Sequence[int]) -> Iterator[tuple[str, Any]]:
    """Yields the costs of listings."""
    for count in counts:
        folder, output = place / f"videos-{count}", place / f"labels-{count}"
        make_ledger(output, run_info(place), make_files(folder, count))
        yield f"incremental run, nothing new over {count} videos", nothing_new(folder, output)
        yield f"selection of {count} new videos", nothing_labeled(folder, place / f"new-{count}", count)


def main() -> None:
    """Prints both as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--listed", type=int, default=1_000)
    parser.add_argument("--videos", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--folder", help="the working folder; default: a temporary folder")
    args = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        place = pathlib.Path(name)
        ledgers = measure_ledgers(place, args.listed, (SMALL_LEDGER_ROWS, args.rows))
        for what, cost in itertools.chain(ledgers, measure_listings(place, args.videos)):
            result[what] = cost
            print(json.dumps({what: cost}), file=sys.stderr, flush=True)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
