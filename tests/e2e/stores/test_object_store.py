"""`reelbeam label` with input and output in an object store: the rows of a local run, with and without faults."""

from __future__ import annotations

import io
import json
import pathlib
import threading
from typing import Any

import pyarrow.parquet as pq
import pytest
from duckdb_queries import select
from faulty_proxy import FaultyProxy, Request
from object_stores import BUCKET, S3Server, s3_flags, used_by_beam

from reelbeam.pipeline.cli import main
from reelbeam.transforms.schemas import TABLES

pytestmark = pytest.mark.slow  # whole runs

_OF_ONE_RUN = {"run_id", "labeled_at", "run", "content_version", "uri_key"}


def comparable(row: dict[str, Any], folder: str) -> tuple[tuple[str, str], ...]:
    """A row without what differs from run to run, and from store to store."""
    values = {name: value for name, value in row.items() if name not in _OF_ONE_RUN}
    return tuple((name, str(value).replace(folder, "")) for name, value in sorted(values.items()))


def rows_of(store: S3Server, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    page = store.client.list_objects_v2(Bucket=BUCKET, Prefix=f"out/{table}/")
    for item in page.get("Contents", ()):
        body = store.client.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
        rows += pq.ParquetFile(io.BytesIO(body)).read().to_pylist()
    return rows


@pytest.mark.slow
def test_rows_are_those_of_a_local_run(
    s3: S3Server,
    proxy: FaultyProxy,
    samples_dir: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for path in samples_dir.iterdir():
        s3.put(f"in/{path.name}", path.read_bytes())
    s3.put("in/notes.txt", b"not looked at")
    assert main(["label", "--model=demo", str(samples_dir), "--output", str(tmp_path / "out")]) == 0

    dealt = threading.Lock()
    times: dict[str, int] = {}
    faults = ("reset", "503", "cut", "slow", "short", "429", "500")

    def fault(request: Request) -> str:
        """Every video's first try fails, each in its own way."""
        if request.method != "GET" or "/in/" not in request.path or request.path.endswith("/in/"):
            return ""
        with dealt:
            times[request.path] = times.get(request.path, 0) + 1
            return faults[len(times) % len(faults)] if times[request.path] == 1 else ""

    proxy.fault = fault
    flags = ["--spool_dir", str(tmp_path / "spool"), *s3_flags(proxy.url)]
    assert main(["label", "--model=demo", f"s3://{BUCKET}/in/", "--output", f"s3://{BUCKET}/out", *flags]) == 0
    num_failed = sum(kind not in ("", "slow") for kind in proxy.faults())
    assert num_failed >= 6 and f"{num_failed} requests repeated" in capsys.readouterr().out

    for table in TABLES:
        local = select(f"SELECT * FROM '{tmp_path}/out/{table}/*/*.parquet'").to_arrow_table().to_pylist()
        remote = rows_of(s3, table)
        assert sorted(comparable(row, f"s3://{BUCKET}/in/") for row in remote) == sorted(
            comparable(row, f"{samples_dir}/") for row in local
        ), table
    versions = {row["video_uri"]: row["content_version"] for row in rows_of(s3, "videos")}
    assert len(versions) == 10 and all(version.startswith("etag:") for version in versions.values())

    (document,) = s3.client.list_objects_v2(Bucket=BUCKET, Prefix="out/runs/")["Contents"]
    summary = json.loads(s3.client.get_object(Bucket=BUCKET, Key=document["Key"])["Body"].read())
    assert summary["counts"]["videos"] == 10


def test_an_object_that_is_not_there_is_a_row(s3: S3Server, proxy: FaultyProxy, tmp_path: pathlib.Path) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text(f"s3://{BUCKET}/gone.mp4\n")
    flags = ["--max_failure_ratio", "1", *s3_flags(proxy.url)]
    assert main(["label", "--model=demo", "--input_list", str(listing), "--output", f"s3://{BUCKET}/out", *flags]) == 0
    (row,) = rows_of(s3, "videos")
    assert (row["status"], row["error_code"]) == ("failed", "not_found")


def test_a_folder_without_videos_is_a_bad_input(s3: S3Server, proxy: FaultyProxy, tmp_path: pathlib.Path) -> None:
    s3.put("in/notes.txt", b"")
    with used_by_beam(s3_flags(proxy.url)):
        flags = ["--output", str(tmp_path / "out"), *s3_flags(proxy.url)]
        assert main(["label", "--model=demo", f"s3://{BUCKET}/in/", *flags]) == 2


REQUESTS = {"lock": "lock.json", "listing of interrupted commits": ".staging", "listing of runs": "runs"}


@pytest.mark.parametrize("place", REQUESTS)
@pytest.mark.parametrize(("status", "code"), [("503", 1), ("403", 2)])
@pytest.mark.parametrize("command", ["label", "plan"])
@pytest.mark.usefixtures("quick_retries")
def test_an_output_that_does_not_respond_is_not_a_wrong_flag(
    s3: S3Server,
    proxy: FaultyProxy,
    samples_dir: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    place: str,
    status: str,
    code: int,
    command: str,
) -> None:
    """What may pass is to be tried again, and has another exit code than what will not."""
    proxy.fault = lambda request: status if REQUESTS[place] in request.path else ""
    flags = ["--output", f"s3://{BUCKET}/out", *s3_flags(proxy.url)]
    ended = main([command, str(samples_dir / "growing.mp4"), "--model=demo", *flags])
    if command == "plan" and place != "listing of runs":
        assert ended == 0 and not proxy.faults()  # it writes nothing, and needs no lock
        return
    assert ended == code and proxy.faults()
    message = capsys.readouterr().err
    assert f"--output s3://{BUCKET}/out cannot be" in message and "Traceback" not in message
    assert not s3.client.list_objects_v2(Bucket=BUCKET, Prefix="out/runs").get("Contents")


OUTPUT = f"s3://{BUCKET}/out"
FLAGS_THAT_NEED_ACCESS = {
    "pattern": ["label", "--model=demo", f"s3://{BUCKET}/**.mp4", "--output=out"],
    "video": ["label", "--model=demo", f"s3://{BUCKET}/a.mp4", "--output=out"],
    "list": ["label", "--model=demo", f"--input_list=s3://{BUCKET}/list.txt", "--output=out"],
    "model": ["label", "--model=demo", "a.mp4", "--output=out", f"--model=s3://{BUCKET}/model"],
    "labels": ["label", "--model=demo", "a.mp4", "--output=out", f"--labels=s3://{BUCKET}/labels.txt"],
    "output": ["label", "--model=demo", "a.mp4", f"--output={OUTPUT}"],
    "plan": ["plan", "--model=demo", "a.mp4", f"--output={OUTPUT}"],
    "status": ["status", OUTPUT],
    "verify": ["verify", OUTPUT],
    "compact": ["compact", OUTPUT],
    "export": ["models", "export", "demo", f"--to={OUTPUT}"],
}


@pytest.mark.parametrize("refusal", ["no credentials", "403"])
@pytest.mark.parametrize(
    "place",
    [pytest.param(place, marks=pytest.mark.slow) if place == "export" else place for place in FLAGS_THAT_NEED_ACCESS],
)
def test_a_denied_access_has_a_remedy(
    s3: S3Server,
    proxy: FaultyProxy,
    without_aws_keys: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: pathlib.Path,
    place: str,
    refusal: str,
) -> None:
    without_aws_keys.chdir(tmp_path)
    without_aws_keys.setenv("REELBEAM_CACHE_DIR", str(tmp_path / "cache"))
    flags = s3_flags(proxy.url)
    if refusal == "403":
        proxy.fault = lambda request: refusal
    else:
        flags = [flag for flag in flags if "key" not in flag]
    with used_by_beam([]):
        assert main([*FLAGS_THAT_NEED_ACCESS[place], *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("reelbeam: ") and f"s3://{BUCKET}/" in line
    assert "AWS_PROFILE" in line and "AWS_ACCESS_KEY_ID" in line and "this machine's role" in line
    assert not (tmp_path / "out").exists()
