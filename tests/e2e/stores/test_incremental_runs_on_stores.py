"""Incremental runs from a bucket into a bucket, with killed runs and network failures: the rows are exact.

S3 is moto's server or the one at REELBEAM_S3_URL; Google Cloud Storage is an emulator.
"""

from __future__ import annotations

import pathlib
import random
import threading

import pytest
from faulty_proxy import FaultyProxy, Request
from gcs_emulator import GcsServer
from object_stores import S3Server, s3_flags

from tools.incremental_runs import Content, Corpus, run_with_kills, verify

_FAULTS = ("reset", "lost", "503", "500", "429")
"""What happens to a request: all but "lost" before it is carried out."""
_ONE_IN = 20

Server = S3Server | GcsServer


def mirror(corpus: Corpus, folder: pathlib.Path, server: Server) -> set[Content]:
    """Copies the content of the folder into the bucket; returns the listing of the bucket."""
    paths = {f"in/{path.relative_to(folder)}": path for path in corpus.videos}
    there = {found.uri.removeprefix(f"{server.uri}/") for found in server.objects("in/")}
    for key in there - paths.keys():
        server.delete(key)
    for key, path in paths.items():
        if key not in there or server.get(key) != path.read_bytes():
            server.put(key, path.read_bytes())
    return {(found.uri, found.size_bytes, found.version) for found in server.objects("in/")}


def copy_of(server: Server, prefix: str, target: pathlib.Path) -> pathlib.Path:
    """Writes all objects with that prefix to a folder."""
    for found in server.objects(prefix):
        key = found.uri.removeprefix(f"{server.uri}/")
        path = target / key.removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(server.get(key))
    return target


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["s3", "gcs"])
def test_killed_runs_on_a_bucket_are_exact(request: pytest.FixtureRequest, kind: str, tmp_path: pathlib.Path) -> None:
    server: Server = request.getfixturevalue(kind)
    proxy: FaultyProxy = server.proxy if isinstance(server, GcsServer) else request.getfixturevalue("proxy")
    corpus, chance = Corpus(tmp_path / "in", 1), random.Random(1)
    lock, dice = threading.Lock(), random.Random(2)

    def fault(request: Request) -> str:
        with lock:
            return dice.choice(_FAULTS) if dice.randrange(_ONE_IN) == 0 else ""

    flags = ["--videos_per_part=20", "--spool_dir", str(tmp_path / "spool")]
    flags += s3_flags(proxy.url) if kind == "s3" else []
    expected: set[Content] = set()
    for number, (added, changes, deleted) in enumerate(((40, 0, 0), (8, 4, 2), (8, 4, 2))):
        corpus.add(added)
        corpus.change(changes)
        corpus.delete(deleted)
        proxy.fault = lambda request: ""
        expected |= mirror(corpus, tmp_path / "in", server)
        proxy.fault = fault
        run_with_kills(f"{server.uri}/in/", f"{server.uri}/out", flags, num_kills=3, chance=chance, most_failures=3)
        proxy.fault = lambda request: ""
        assert verify(copy_of(server, "out/", tmp_path / f"copy_{number}"), expected) == []
    failed = [request for request in proxy.requests if request.fault]
    assert len(failed) > 20
    assert {request.method for request in failed} > {"GET"}, "reads and writes failed"
