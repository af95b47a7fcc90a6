"""The contract of every store: local disk, S3, Google Cloud Storage, and Beam's other file systems."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from apache_beam.io.filesystem import CompressionTypes, FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem
from object_stores import BUCKET, S3Server, check_conditions, s3_flags, used_by_beam

from reelbeam.transforms import errors, storage
from reelbeam.transforms.storage import ObjectInfo, store_for
from reelbeam.transforms.storage.stores.beam import BeamStore
from reelbeam.transforms.storage.stores.gcs import GcsStore
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

    def split(self, path: str) -> tuple[str, str]:
        folder, _, name = path.rpartition("/")
        return folder, name

    def mkdirs(self, path: str) -> None:
        super().mkdirs(self._path(path))

    def rename(self, source_file_names: Sequence[str], destination_file_names: Sequence[str]) -> None:
        super().rename([*map(self._path, source_file_names)], [*map(self._path, destination_file_names)])

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            pathlib.Path(self._path(path)).unlink()


@pytest.fixture(params=["local", "s3", pytest.param("gs", marks=pytest.mark.slow), SCHEME])
def root(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    """A folder or prefix of a store."""
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3")
        with used_by_beam(s3_flags(server.url)):
            yield f"{server.uri}/root"
    elif request.param == "gs":
        request.getfixturevalue("gcs")
        yield f"gs://{BUCKET}/root"
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
    kinds = {"s3": S3Store, "gs": GcsStore, SCHEME: BeamStore}
    assert isinstance(store_for(root), kinds.get(root.partition("://")[0], LocalStore))


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
    check_conditions(f"{root}/deep/down/lock.json", "123")


def create(root: str, name: str, data: bytes) -> str:
    uri = f"{root}/{name}"
    with store_for(uri).create(uri) as sink:
        for start in range(0, len(data), 1 << 20):
            sink.write(data[start : start + (1 << 20)])
    return uri


def test_a_file_is_read_at_any_position(root: str) -> None:
    data = os.urandom(5 << 20)  # more than one buffer
    uri = create(root, "a/b/part.parquet", data)
    with store_for(uri).open(uri) as file:
        assert file.readable() and file.seekable()
        assert (file.seek(-7, os.SEEK_END), file.read()) == (len(data) - 7, data[-7:])
        assert (file.seek(100), file.read(3), file.tell()) == (100, data[100:103], 103)
        assert (file.seek(1 << 20, os.SEEK_CUR), file.read(2)) == (103 + (1 << 20), data[103 + (1 << 20) :][:2])
        assert (file.seek(0), file.read(), file.read(1)) == (0, data, b"")
    with pytest.raises(errors.ObjectNotFoundError):
        store_for(uri).open(f"{root}/a/gone")


def test_an_empty_file_is_read(root: str) -> None:
    uri = create(root, "empty", b"")
    with store_for(uri).open(uri) as file:
        assert (file.read(), file.seek(0, os.SEEK_END)) == (b"", 0)


@pytest.mark.parametrize("num_bytes", [0, 5, (33 << 20) + 1], ids=["empty", "small", "in parts"])
def test_what_is_created_is_whole(root: str, num_bytes: int) -> None:
    data = os.urandom(num_bytes)
    uri = create(root, "deep/down/file", data)
    assert storage.exists(uri)
    with store_for(uri).open(uri) as file:
        assert file.read() == data


def test_an_object_of_a_block_that_raised_does_not_exist(root: str) -> None:
    if not root.startswith(("s3", "gs")):
        pytest.skip("a file system has a part of the file")
    uri = create(root, "kept", b"whole")
    for name in ("kept", "new"):
        with pytest.raises(ValueError, match="half"), store_for(uri).create(f"{root}/{name}") as sink:
            sink.write(b"part")
            raise ValueError("half")
    assert not storage.exists(f"{root}/new")
    with store_for(uri).open(uri) as file:
        assert file.read() == b"whole"


def test_a_move_replaces_the_target(root: str) -> None:
    source, target, store = create(root, "a/draft 1", b"new"), create(root, "b/c/file", b"old"), store_for(root)
    store.move(source, target)
    store.move(target, f"{root}/d/e/file")
    assert [storage.exists(uri) for uri in (source, target)] == [False, False]
    with store.open(f"{root}/d/e/file") as file:
        assert file.read() == b"new"
    create(root, "a/draft 2", b"newer")
    store.move(f"{root}/a/draft 2", f"{root}/d/e/file")
    with store.open(f"{root}/d/e/file") as file:
        assert file.read() == b"newer"


def test_what_does_not_exist_cannot_be_moved(root: str) -> None:
    target = create(root, "file", b"1")
    with pytest.raises(errors.StorageError):
        store_for(root).move(f"{root}/gone", target)
    assert storage.exists(target) and not storage.exists(f"{root}/gone")


def test_a_file_is_replaced_as_a_whole(root: str) -> None:
    uri = f"{root}/report.html"
    for data in (b"old", b"new and longer", b""):
        storage.replace_file(uri, data)
        with storage.open_binary(uri) as file:
            assert file.read() == data
    assert [found.rpartition("/")[2] for found in storage.find_files(root, "*")] == ["report.html"]


def test_a_failure_to_replace_a_local_file_keeps_the_old_one(tmp_path: pathlib.Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(errors.StorageError, match=r"folder: the storage says .*Is a directory$"):
        storage.replace_file(f"{tmp_path}/folder", b"new")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder"]


def test_a_link_is_replaced_and_not_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "precious").write_bytes(b"kept")
    (tmp_path / "report.html").symlink_to(tmp_path / "precious")
    storage.replace_file(f"{tmp_path}/report.html", b"new")
    assert (tmp_path / "precious").read_bytes() == b"kept"
    assert (tmp_path / "report.html").read_bytes() == b"new" and not (tmp_path / "report.html").is_symlink()


def test_browsers_show_a_page_in_a_bucket(s3: S3Server) -> None:
    with used_by_beam(s3_flags(s3.url)):
        for name in ("report.html", "part.parquet"):
            storage.replace_file(f"{s3.uri}/{name}", b"1")
    kinds = [s3.client.head_object(Bucket=BUCKET, Key=name)["ContentType"] for name in ("report.html", "part.parquet")]
    assert kinds == ["text/html; charset=utf-8", "application/octet-stream"]


def test_a_local_folder_exists(tmp_path: pathlib.Path) -> None:
    """A document that is a folder is an output that cannot be read, and not one without the document."""
    (tmp_path / "r1.json").mkdir()
    (tmp_path / "file").touch()
    names = ["r1.json", "file", "file/below", "gone"]
    assert [storage.exists(f"{tmp_path}/{name}") for name in names] == [True, True, False, False]


def test_a_missing_object_may_be_deleted(root: str) -> None:
    if root.startswith(SCHEME):
        pytest.skip("some of Beam's file systems reject missing files")
    store_for(root).delete([f"{root}/gone"])


def test_names_are_deleted_and_not_patterns(root: str) -> None:
    odd, kept = put(root, "a/x[1].mp4", b"1"), put(root, "a/x1.mp4", b"2")
    store = store_for(root)
    store.delete([odd])
    assert store.read_versioned(odd) is None and store.read_versioned(kept) is not None
