"""Google Cloud Storage as input, against an emulator; skipped where there is none.

go install github.com/fsouza/fake-gcs-server@latest && pip install 'reelbeam[gcp]'

Output is not tested: Beam renames in batches, and the emulator has no batches.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import duckdb
import processes
import pytest
from object_stores import BUCKET, used_by_beam

from pipeline.cli import main
from transforms import storage
from transforms.errors import VideoChangedError, VideoNotFoundError
from transforms.stores.base import store_for

DATA = bytes(range(256)) * 1000


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The client library's bucket, empty, on an emulator that lives as long as the test."""
    gcs = pytest.importorskip("google.cloud.storage", reason="pip install 'reelbeam[gcp]'")
    program = shutil.which("fake-gcs-server")
    if program is None:
        pytest.skip("no fake-gcs-server on the PATH: go install github.com/fsouza/fake-gcs-server@latest")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [program, "-backend=memory", "-scheme=http", "-host=127.0.0.1", f"-port={port}", f"-external-url={url}"]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        processes.wait_until(lambda: _listens(port))
        with used_by_beam(["--no_auth"]):
            client = gcs.Client.create_anonymous_client()
            client.project = "test"
            yield client.create_bucket(BUCKET)
        process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as end:
        return end.connect_ex(("127.0.0.1", port)) == 0


def put(bucket: Any, key: str, data: bytes) -> str:
    bucket.blob(key).upload_from_string(data)
    return f"gs://{BUCKET}/{key}"


def test_listing_ranges_and_versions(bucket: Any) -> None:
    uris = [put(bucket, key, DATA) for key in ("a/1 ?.mp4", "a/b/2.mp4", "c/3.mp4")]
    video = storage.stat(uris[0])
    assert video.size_bytes == len(DATA) and video.content_version.startswith("generation:")
    assert list(storage.matching(f"gs://{BUCKET}/a/**")) == [video, storage.stat(uris[1])]
    assert list(storage.matching(f"gs://{BUCKET}/a/*.mp4")) == [video]
    store = store_for(uris[0])
    assert store.read(video, 100, 1000) == DATA[100:1000]
    put(bucket, "a/1 ?.mp4", DATA[::-1])
    with pytest.raises(VideoChangedError):
        store.read(video, 100, 1000)
    bucket.delete_blob("a/1 ?.mp4")
    for lost in (video, dataclasses.replace(video, video_uri="gs://no-such-bucket/1.mp4")):
        with pytest.raises(VideoNotFoundError):
            store.read(lost, 100, 1000)


def test_rows_are_those_of_a_local_run(bucket: Any, samples_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for path in samples_dir.iterdir():
        put(bucket, f"in/{path.name}", path.read_bytes())
    spool = ["--spool_dir", str(tmp_path / "spool"), "--no_auth"]
    assert main(["label", f"gs://{BUCKET}/in/", "--output", str(tmp_path / "remote"), *spool]) == 0
    assert main(["label", str(samples_dir), "--output", str(tmp_path / "local")]) == 0
    found = {}
    for name in ("remote", "local"):
        query = f"SELECT video_uri, status, labels, error_code, size_bytes FROM '{tmp_path}/{name}/videos/*/*.parquet'"
        found[name] = sorted((os.path.basename(uri), *map(str, rest)) for uri, *rest in duckdb.sql(query).fetchall())
    assert found["remote"] == found["local"] and len(found["local"]) == 10


def test_a_model_is_put_into_a_bucket_and_taken_from_it(
    bucket: Any, samples_dir: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REELBEAM_CACHE_DIR", str(tmp_path / "cache"))
    uri = f"gs://{BUCKET}/models/demo"
    assert main(["models", "export", "demo", "--to", uri, "--no_auth"]) == 0
    output = tmp_path / "out"
    assert main(["label", str(samples_dir / "growing.mp4"), f"--model={uri}", f"--output={output}", "--no_auth"]) == 0
    assert duckdb.sql(f"SELECT top_label, model FROM '{output}/videos/*/*.parquet'").fetchall() == [("growing", "demo")]
    assert len(list((tmp_path / "cache/stored").iterdir())) == 1
