"""Google Cloud Storage, inputs and output, on an emulator that is built once; skipped where it cannot be built."""

from __future__ import annotations

import dataclasses
import itertools
import json
import pathlib
import threading
from typing import Any

import pytest
from duckdb_queries import select
from faulty_proxy import Request
from gcs_emulator import GcsServer
from lock_records import lock_record
from object_stores import BUCKET, check_conditions

from reelbeam.pipeline.cli import main
from reelbeam.transforms import storage
from reelbeam.transforms.errors import ObjectChangedError, ObjectNotFoundError, OutputLockedError
from reelbeam.transforms.output.lock.lock_file import read_lock
from reelbeam.transforms.output.lock.output_lock import (
    FIRST_JOB_LEASE_SECONDS,
    JOB_LEASE_SECONDS,
    LockTicket,
    OutputLock,
)
from reelbeam.transforms.schemas import TABLES
from reelbeam.transforms.storage.stores.registry import store_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
DATA = bytes(range(256)) * 1000
OUTPUT = f"gs://{BUCKET}/out"
_OF_ONE_RUN = ("run_id", "labeled_at", "run", "content_version", "uri_key")


def test_listing_ranges_and_versions(gcs: GcsServer) -> None:
    uris = [gcs.put(key, DATA) for key in ("a/1 ?.mp4", "a/b/2.mp4", "c/3.mp4")]
    video = storage.stat(uris[0])
    assert video.size_bytes == len(DATA) and video.version.startswith("generation:")
    assert list(storage.matching(f"gs://{BUCKET}/a/**")) == [video, storage.stat(uris[1])]
    assert list(storage.matching(f"gs://{BUCKET}/a/*.mp4")) == [video]
    store = store_for(uris[0])
    assert store.read(video, 100, 1000) == DATA[100:1000]
    gcs.put("a/1 ?.mp4", DATA[::-1])
    with pytest.raises(ObjectChangedError):
        store.read(video, 100, 1000)
    gcs.delete("a/1 ?.mp4")
    for lost in (video, dataclasses.replace(video, uri="gs://no-such-bucket/1.mp4")):
        with pytest.raises(ObjectNotFoundError):
            store.read(lost, 100, 1000)


@pytest.mark.parametrize("fault", ["reset", "cut", "short", "500", "503", "429"])
def test_what_may_pass_is_tried_again(gcs: GcsServer, fault: str) -> None:
    video = storage.stat(gcs.put("a.mp4", DATA))
    dealt = itertools.chain([fault, fault], itertools.repeat(""))
    gcs.proxy.fault = lambda request: next(dealt) if request.method == "GET" else ""
    assert store_for(video.uri).read(video, 1000, 200_000) == DATA[1000:200_000]
    assert gcs.proxy.faults() == [fault, fault]


def test_conditions_hold(gcs: GcsServer) -> None:
    check_conditions(f"gs://{BUCKET}/some/object", "123")


def test_one_run_at_a_time(gcs: GcsServer) -> None:
    with OutputLock(LockTicket(OUTPUT, "first"), lease_seconds=1.0):
        with pytest.raises(OutputLockedError, match="run first on"):
            OutputLock(LockTicket(OUTPUT, "second")).__enter__()
        LockTicket(OUTPUT, "first").require()
    with OutputLock(LockTicket(OUTPUT, "second")):
        assert lock_record(OUTPUT).holder == "second"


def test_a_lost_response_is_not_taken_for_another_run(gcs: GcsServer) -> None:
    lost = itertools.cycle(["lost", ""])
    gcs.proxy.fault = lambda request: next(lost) if request.path.startswith("/upload/") else ""
    with OutputLock(LockTicket(OUTPUT, "first")):
        LockTicket(OUTPUT, "first").require()
    assert lock_record(OUTPUT).released_at
    assert gcs.proxy.faults() == ["lost"] * 3


def test_a_worker_renews_the_lock(gcs: GcsServer) -> None:
    ticket = LockTicket(OUTPUT, "job", outlives_launcher=True)
    with OutputLock(ticket, FIRST_JOB_LEASE_SECONDS) as held:
        held.leave_to_job()
    ticket.keep()
    lock = read_lock(OUTPUT)
    assert lock is not None and lock.lease_seconds == JOB_LEASE_SECONDS and not lock.released_at
    ticket.release_after_commit()
    assert lock_record(OUTPUT).released_at


def test_runs_are_those_of_a_local_disk(
    gcs: GcsServer, samples_dir: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every video's first request fails; a second run skips what the first has done, and a third does the rest."""
    for path in samples_dir.iterdir():
        gcs.put(f"in/{path.name}", path.read_bytes())
    gcs.put("in/notes.txt", b"not looked at")
    assert main(["label", "--model=demo", str(samples_dir), "--output", str(tmp_path / "out")]) == 0

    def label(*flags: str) -> dict[str, Any]:
        spool = ["--spool_dir", str(tmp_path / "spool"), "--summary_json"]
        assert main(["label", "--model=demo", f"gs://{BUCKET}/in/", "--output", OUTPUT, *spool, *flags]) == 0
        return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))

    def json_of(command: str) -> dict[str, Any]:
        capsys.readouterr()
        assert main([command, OUTPUT, "--json"]) == 0
        return dict(json.loads(capsys.readouterr().out))

    gcs.proxy.fault = first_tries_fail()
    assert label()["counts"]["videos"] == 10
    assert len([fault for fault in gcs.proxy.faults() if fault != "slow"]) >= 6
    for table in TABLES:
        remote, local = rows_of(copy_of(gcs, tmp_path / "copy"), table), rows_of(tmp_path / "out", table)
        assert comparable(remote, f"gs://{BUCKET}/in/") == comparable(local, f"{samples_dir}/"), table

    again = label()
    assert (again["counts"]["videos"], again["counts"]["skipped"]) == (0, 10)
    gcs.put("in/growing.mp4", (samples_dir / "shrinking.mp4").read_bytes())
    third = label()
    assert (third["counts"]["videos"], third["counts"]["skipped"]) == (1, 9)

    totals = json_of("status")["totals"]
    assert json_of("verify")["faults"] == []
    assert main(["compact", OUTPUT]) == 0 and len(keys(gcs, "out/videos/")) == 1
    assert json_of("status")["totals"] == totals and json_of("verify")["faults"] == []
    assert [key for key in keys(gcs, "out/.staging/") if not key.endswith("lock.json")] == []


def test_a_run_is_kept_out_by_another(
    gcs: GcsServer, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with OutputLock(LockTicket(OUTPUT, "other")):
        assert main(["label", "--model=demo", str(samples_dir / "growing.mp4"), "--output", OUTPUT]) == 5
    assert "run other on" in capsys.readouterr().err and keys(gcs, "out/runs/") == []


def test_a_model_is_put_into_a_bucket_and_taken_from_it(
    gcs: GcsServer, samples_dir: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REELBEAM_CACHE_DIR", str(tmp_path / "cache"))
    uri = f"gs://{BUCKET}/models/demo"
    assert main(["models", "export", "demo", "--to", uri]) == 0
    output = tmp_path / "out"
    assert (
        main(["label", "--model=demo", str(samples_dir / "growing.mp4"), f"--model={uri}", f"--output={output}"]) == 0
    )
    assert select(f"SELECT top_label, model FROM '{output}/videos/*/*.parquet'").fetchall() == [("growing", "demo")]
    assert len(list((tmp_path / "cache/stored").iterdir())) == 1


def first_tries_fail() -> Any:
    """Returns the proxy's `fault`: every video's first request fails, each in its own way."""
    dealt, times = threading.Lock(), dict[str, int]()
    faults = ("reset", "503", "cut", "slow", "short", "429", "500")

    def fault(request: Request) -> str:
        if not request.path.startswith("/download/") or "/o/in%2F" not in request.path:
            return ""
        place = request.path.partition("?")[0]
        with dealt:
            times[place] = times.get(place, 0) + 1
            return faults[len(times) % len(faults)] if times[place] == 1 else ""

    return fault


def keys(gcs: GcsServer, prefix: str) -> list[str]:
    return [found.uri.removeprefix(f"{gcs.uri}/") for found in gcs.objects(prefix)]


def copy_of(gcs: GcsServer, target: pathlib.Path) -> pathlib.Path:
    """Writes the output's files to a folder."""
    for key in keys(gcs, "out/"):
        path = target / key.removeprefix("out/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gcs.get(key))
    return target


def rows_of(output: pathlib.Path, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = select(f"SELECT * FROM '{output}/{table}/*/*.parquet'").to_arrow_table().to_pylist()
    return rows


def comparable(rows: list[dict[str, Any]], folder: str) -> list[list[tuple[str, str]]]:
    """The rows without what differs from run to run, and from store to store."""
    return sorted(
        [(name, str(value).replace(folder, "")) for name, value in sorted(row.items()) if name not in _OF_ONE_RUN]
        for row in rows
    )
