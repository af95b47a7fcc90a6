"""The contract of every store: local disk, S3, and Beam's other file systems."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from apache_beam.io.filesystem import CompressionTypes, FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem
from object_stores import S3Server, check_conditions, s3_flags, used_by_beam

from reelbeam.transforms import errors
from reelbeam.transforms.storage import ObjectInfo, store_for
from reelbeam.transforms.storage.stores.beam import BeamStore
from reelbeam.transforms.storage.stores.local import LocalStore
from reelbeam.transforms.storage.stores.s3 import S3Store

NAMES = ["a/1.mp4", "a/2 [x].mp4", "a/b/3.mp4"]
SCHEME = "contract"


class OtherFileSystem(LocalFileSystem):
    """A file system that Beam knows and this package does not."""

    @classmethod
    def scheme(cls) -> str:
        return SCHEME

    def _path(self, url: str) -> str:
        return url.removeprefix(f"{SCHEME}://")

    def has_dirs(self) -> bool:
        return True

    def exists(self, path: str) -> bool:
        return super().exists(self._path(path))

    def metadata(self, path: str) -> FileMetadata:
        found = super().metadata(self._path(path))
        return FileMetadata(path, found.size_in_bytes, found.last_updated_in_seconds)

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        for found in super()._list(self._path(dir_or_prefix)):
            yield FileMetadata(f"{SCHEME}://{found.path}", found.size_in_bytes, found.last_updated_in_seconds)

    def _path_open(
        self,
        path: str,
        mode: str,
        mime_type: str = "application/octet-stream",
        compression_type: str = CompressionTypes.AUTO,
    ) -> Any:
        pathlib.Path(self._path(path)).parent.mkdir(parents=True, exist_ok=True)
        return super()._path_open(self._path(path), mode, mime_type, compression_type)

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            pathlib.Path(self._path(path)).unlink()


@pytest.fixture(params=["local", "s3", SCHEME])
def root(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    """A folder or prefix of a store."""
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3")
        with used_by_beam(s3_flags(server.url)):
            yield f"{server.uri}/root"
    else:
        yield str(tmp_path) if request.param == "local" else f"{SCHEME}://{tmp_path}"


def put(root: str, name: str, data: bytes) -> str:
    uri = f"{root}/{name}"
    store = store_for(uri)
    found = store.read_versioned(uri)
    assert store.write_if(uri, data, found and found.version)
    if isinstance(store, LocalStore | BeamStore):  # two writes within a tick of the clock have the same time
        seconds = 1000.0 + sum(data)
        os.utime(uri.removeprefix(f"{SCHEME}://"), (seconds, seconds))
    return uri


def test_the_store_of_a_place(root: str) -> None:
    kind = S3Store if root.startswith("s3") else BeamStore if root.startswith(SCHEME) else LocalStore
    assert isinstance(store_for(root), kind)


def test_an_object_has_a_size_and_a_version(root: str) -> None:
    uri = put(root, NAMES[0], b"12345")
    found = store_for(uri).stat(uri)
    assert (found.uri, found.size_bytes) == (uri, 5) and found.version and found.modified_seconds
    put(root, NAMES[0], b"54321!")
    assert store_for(uri).stat(uri).version != found.version
    with pytest.raises(errors.ObjectNotFoundError, match=r"gone\.mp4 does not exist; check the path and its spelling"):
        store_for(uri).stat(f"{root}/gone.mp4")


def test_a_listing_says_what_stat_says(root: str) -> None:
    uris = [put(root, name, name.encode()) for name in NAMES]
    store = store_for(root)

    def listed(pattern: str) -> list[ObjectInfo]:
        return sorted(store.matching(f"{root}/{pattern}"), key=lambda found: found.uri)

    assert listed("**.mp4") == [store.stat(uri) for uri in uris]
    assert [found.uri for found in listed("a/*.mp4")] == uris[:2]
    assert listed("gone/*") == []


def test_a_range_is_of_the_listed_version(root: str) -> None:
    uri = put(root, NAMES[0], b"0123456789")
    store = store_for(uri)
    found = store.stat(uri)
    assert store.read(found, 2, 5) == b"234"
    put(root, NAMES[0], b"9876543210!")
    with pytest.raises(errors.ObjectChangedError, match="changed after it was listed; run again"):
        store.read(found, 2, 5)


def test_a_conditional_write_replaces_only_what_was_read(root: str) -> None:
    check_conditions(f"{root}/deep/down/lock.json", "0123")


def test_names_are_deleted_and_not_patterns(root: str) -> None:
    odd, kept = put(root, "a/x[1].mp4", b"1"), put(root, "a/x1.mp4", b"2")
    store = store_for(root)
    store.delete([odd])
    assert store.read_versioned(odd) is None and store.read_versioned(kept) is not None
