"""Which run documents the start of a run reads: not those that a compaction holds, however many these are."""

from __future__ import annotations

import datetime
import pathlib
import shutil

import ledger_factory
import numpy as np
import output_factory as factory
import pytest
from faulty_proxy import FaultyProxy
from object_stores import BUCKET, S3Server
from output_factory import Video

from reelbeam.transforms.output import compaction
from reelbeam.transforms.output.commits import recover
from reelbeam.transforms.output.ledger import ledger_runs, read_rows, uri_key
from reelbeam.transforms.output.lock.output_lock import LockTicket, OutputLock
from reelbeam.transforms.output.run_document import LabelingKey
from reelbeam.transforms.output.runs import COMPACTION, latest_run
from reelbeam.transforms.output.tables import Output

KEY = LabelingKey.of(factory.run_info(1))


def compact(output: pathlib.Path, day: int) -> str:
    """Compacts all runs, on a day in January; returns the name of the compaction."""
    name = f"{datetime.date(2026, 1, day):%Y%m%d}T120000Z{COMPACTION}{day:06x}"
    found, lock = Output.read(str(output)), LockTicket(str(output), name)
    with OutputLock(lock):
        compaction.compact(found, compaction.small_runs(found), lock)
    return name


def documents_read_by_a_start(output: pathlib.Path, s3: S3Server, proxy: FaultyProxy) -> list[str]:
    """Returns the names of the runs whose documents are read before a run lists its videos; one for each request."""
    for path in output.glob("runs/*.json"):
        s3.put(f"out/runs/{path.name}", path.read_bytes())
    stored = f"s3://{BUCKET}/out"
    proxy.requests.clear()
    latest_run(stored)
    recover(stored)
    assert [path for run in ledger_runs(stored, KEY) for path in run.files("videos")]
    paths = [request.path.partition("?")[0] for request in proxy.requests if request.method == "GET"]
    return [path.rsplit("/", 1)[1].removesuffix(".json") for path in paths if path.endswith(".json")]


@pytest.mark.parametrize("num_runs", [2, 5])
def test_a_start_reads_the_last_run_the_compaction_and_what_came_after_it(
    tmp_path: pathlib.Path, s3: S3Server, proxy: FaultyProxy, num_runs: int
) -> None:
    last = [factory.commit_run(tmp_path, day, [Video(f"{day}.mp4")]) for day in range(1, num_runs + 1)][-1]
    holder = compact(tmp_path, num_runs)
    assert documents_read_by_a_start(tmp_path, s3, proxy) == [last, holder]
    later = [factory.commit_run(tmp_path, day, [Video(f"{day}.mp4")]) for day in (10, 11)]
    assert documents_read_by_a_start(tmp_path, s3, proxy) == [later[-1], holder, *later]


def test_a_start_reads_no_compaction_that_a_later_one_holds(
    tmp_path: pathlib.Path, s3: S3Server, proxy: FaultyProxy
) -> None:
    for day in range(1, 5):
        last = factory.commit_run(tmp_path, day, [Video(f"{day}.mp4")])
        holder = compact(tmp_path, day)
    assert documents_read_by_a_start(tmp_path, s3, proxy) == [last, holder]


@pytest.mark.parametrize("days", [(3, 6), (6, 3)])
def test_files_that_wait_to_be_deleted_do_not_count(tmp_path: pathlib.Path, days: tuple[int, int]) -> None:
    """Also where the clock was set back between two compactions, so that the later one has the earlier name."""
    output, uris = tmp_path / "out", [f"{number}.mp4" for number in range(4)]
    factory.commit_run(output, 1, [Video(uris[0]), Video(uris[1])])
    factory.commit_run(output, 2, [Video(uris[2])])
    shutil.copytree(output, tmp_path / "first")
    compact(output, days[0])
    factory.commit_run(output, 4, [Video(uris[3])])
    shutil.copytree(output, tmp_path / "second")
    compact(output, days[1])
    for before in ("first", "second"):
        for table in ("videos", "clips", "errors"):
            shutil.copytree(tmp_path / before / table, output / table, dirs_exist_ok=True)
    (path,) = ledger_factory.ledger_files(str(output), KEY)
    keys = np.sort([uri_key(uri) for uri in uris])
    assert sorted(row.video_uri for row in read_rows(path, keys, KEY)) == uris
    assert [run.compacted_into is None for run in Output.read(str(output)).runs.values()].count(True) == 1
