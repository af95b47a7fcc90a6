"""Nights over a bucket, into a bucket, with runs that are killed and a network that fails: the rows are exact."""

from __future__ import annotations

import pathlib
import random
import threading

import pytest
from object_stores import BUCKET, FaultyProxy, Request, S3Server, s3_flags

from tools.nights import Content, Corpus, run_night, verify

_FAULTS = ("reset", "503", "500", "429")
"""What happens to a request before it is carried out."""
_ONE_IN = 20


def mirror(corpus: Corpus, folder: pathlib.Path, store: S3Server) -> set[Content]:
    """Gives the bucket the content of the folder; returns what is there then, as a listing tells it."""
    keys = {f"in/{path.relative_to(folder)}": path for path in corpus.videos}
    listed = {item["Key"]: item for item in objects(store, "in/")}
    for key in listed.keys() - keys.keys():
        store.client.delete_object(Bucket=BUCKET, Key=key)
    for key, path in keys.items():
        if key not in listed or listed[key]["Size"] != path.stat().st_size or changed(store, key, path):
            store.put(key, path.read_bytes())
    found = objects(store, "in/")
    return {(f"s3://{BUCKET}/{item['Key']}", item["Size"], "etag:" + item["ETag"].strip('"')) for item in found}


def changed(store: S3Server, key: str, path: pathlib.Path) -> bool:
    body: bytes = store.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return body != path.read_bytes()


def objects(store: S3Server, prefix: str) -> list[dict]:
    pages = store.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [item for page in pages for item in page.get("Contents", ())]


def copy_of(store: S3Server, prefix: str, target: pathlib.Path) -> pathlib.Path:
    """Writes all objects with that prefix to a folder."""
    for item in objects(store, prefix):
        path = target / item["Key"].removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.client.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read())
    return target


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_nights_on_a_bucket_are_exact(s3: S3Server, proxy: FaultyProxy, tmp_path: pathlib.Path) -> None:
    corpus, chance = Corpus(tmp_path / "in", 1), random.Random(1)
    lock, dice = threading.Lock(), random.Random(2)

    def fault(request: Request) -> str:
        with lock:
            return dice.choice(_FAULTS) if dice.randrange(_ONE_IN) == 0 else ""

    proxy.fault = fault
    flags = ["--videos_per_part=20", "--spool_dir", str(tmp_path / "spool"), *s3_flags(proxy.url)]
    expected: set[Content] = set()
    for night, (added, changes, deleted) in enumerate(((40, 0, 0), (8, 4, 2), (8, 4, 2))):
        corpus.add(added)
        corpus.change(changes)
        corpus.delete(deleted)
        expected |= mirror(corpus, tmp_path / "in", s3)
        run_night(f"s3://{BUCKET}/in/", f"s3://{BUCKET}/out", flags, num_kills=3, chance=chance, most_failures=3)
        assert verify(copy_of(s3, "out/", tmp_path / f"copy_{night}"), expected) == []
    written = [request for request in proxy.requests if request.fault and "/out/" in request.path]
    assert {request.method for request in written} >= {"GET", "PUT"} and len(proxy.faults()) > 20
