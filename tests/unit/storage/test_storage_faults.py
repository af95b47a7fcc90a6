"""Faults of storage: removed spool files, descriptors left open, locks of folders, odd names."""

from __future__ import annotations

import fcntl
import os
import pathlib
import resource
import shutil
import stat
import subprocess
import sys
import textwrap

import pytest
from faulty_proxy import FaultyProxy
from gcs_emulator import GcsServer
from object_stores import BUCKET, S3Server

from reelbeam.transforms import storage
from reelbeam.transforms.errors import NotAVideoError, StorageError, UnavailableError, VideoChangedError
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.storage import plain_files
from reelbeam.transforms.storage.spool.folder import Spool, SpoolConfig
from reelbeam.transforms.storage.spool.spooled_video import BLOCK_BYTES, SparseFile
from reelbeam.transforms.storage.stores.local import LocalStore
from reelbeam.transforms.storage.stores.registry import store_for

DATA = bytes(range(256)) * (3 * BLOCK_BYTES // 256)


def open_files_in(folder: pathlib.Path) -> list[str]:
    """Returns what this process has open there: servers of other tests open and close their own."""
    links = [pathlib.Path("/proc/self/fd", number) for number in os.listdir("/proc/self/fd")]
    return [target for link in links if link.is_symlink() and (target := os.readlink(link)).startswith(str(folder))]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_spool_file_that_a_cleaner_removed_is_fetched_again(
    s3: S3Server, proxy: FaultyProxy, tmp_path: pathlib.Path, what: str
) -> None:
    spool, video = Spool(SpoolConfig(str(tmp_path), 1 << 30)), storage.stat(s3.put("a.mp4", DATA))
    for _ in range(2):
        with spool.acquire(video, store_for(video.uri)) as file:
            file.fetch(0, len(DATA))
            assert os.pread(file.fileno(), len(DATA), 0) == DATA
        if what == "folder":
            shutil.rmtree(spool.folder)
        else:
            (spool.folder / "1").unlink()
    assert proxy.bytes_of("a.mp4") == 2 * len(DATA)
    with spool.acquire(video, store_for(video.uri)) as file:
        assert spool.used_bytes == len(DATA)
        file.fetch(0, BLOCK_BYTES)
    assert spool.used_bytes == BLOCK_BYTES, "what was removed is not counted"
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_spool_file_that_the_disk_refuses_leaves_no_descriptor(tmp_path: pathlib.Path) -> None:
    file, limits = SparseFile(tmp_path / "1", 1 << 20), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        for _ in range(3):
            with pytest.raises(StorageError, match="--spool_bytes"):
                file.open()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (open_files_in(tmp_path), file.num_users) == ([], 0)
    file.open()
    assert len(open_files_in(tmp_path)) == 2
    file.close()
    assert open_files_in(tmp_path) == []


START = """
    import os, sys
    from reelbeam.transforms.errors import RunError
    from reelbeam.transforms.media.sandbox.spawn import ForkServer

    sys.executable, before = "/no/such/python", len(os.listdir("/proc/self/fd"))
    try:
        ForkServer()
    except RunError as error:
        print(error, len(os.listdir("/proc/self/fd")) - before)
"""


def test_a_decoder_that_cannot_be_started_is_an_error_of_the_run_and_leaves_no_descriptor() -> None:
    command = [sys.executable, "-c", textwrap.dedent(START)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == ("the decoder process does not start: [Errno 2] No such file or directory: '/no/such/python' 0\n")


def test_the_lock_of_a_local_file_is_that_of_a_file_and_not_of_its_folder(tmp_path: pathlib.Path) -> None:
    """On NFS the lock of a folder holds on one machine only."""
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    assert LocalStore().write_if(str(tmp_path / "lock.json"), b"1", None)  # it would wait forever
    os.close(folder)
    guard = tmp_path / ".lock.json.guard"
    assert stat.S_ISREG(guard.stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == [guard.name, "lock.json"]


@pytest.mark.parametrize(("folder_mode", "guard_mode"), [(0o755, 0o600), (0o775, 0o660), (0o777, 0o666)])
def test_only_who_may_write_to_the_folder_can_lock_its_guard(
    folder_mode: int, guard_mode: int, tmp_path: pathlib.Path
) -> None:
    """A lock needs no more than permission to read."""
    tmp_path.chmod(folder_mode)
    assert LocalStore().write_if(str(tmp_path / "lock.json"), b"1", None)
    assert stat.S_IMODE((tmp_path / ".lock.json.guard").stat().st_mode) == guard_mode


def test_a_guard_that_stays_locked_is_reported_in_one_line(tmp_path: pathlib.Path) -> None:
    store, path = LocalStore(max_wait_seconds=0.1), str(tmp_path / "lock.json")
    assert store.write_if(path, b"1", None)
    written = store.read_versioned(path)
    assert written is not None
    with (tmp_path / ".lock.json.guard").open() as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        with pytest.raises(UnavailableError, match="another process has locked its guard for 0.1 seconds"):
            store.write_if(path, b"2", written.version)
    assert store.write_if(path, b"2", written.version)


@pytest.mark.parametrize("kind", ["hard link", "fifo", "folder", "file"])
def test_what_has_the_name_of_a_guard_is_neither_opened_up_nor_waited_for(kind: str, tmp_path: pathlib.Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("")
    secret.chmod(0o600)
    folder = tmp_path / "out"
    folder.mkdir()
    guard = folder / ".lock.json.guard"
    if kind == "hard link":
        os.link(secret, guard)
    elif kind == "fifo":
        os.mkfifo(guard)
    elif kind == "folder":
        guard.mkdir()
    else:
        guard.write_text("x")
    with pytest.raises(StorageError):
        LocalStore().write_if(str(folder / "lock.json"), b"1", None)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_a_fifo_in_place_of_a_folder_is_removed_and_not_waited_for(tmp_path: pathlib.Path) -> None:
    (tmp_path / "out/.staging").mkdir(parents=True)
    fifo = tmp_path / "out/.staging/run=x"
    os.mkfifo(fifo)
    plain_files.remove_tree(str(fifo))
    assert not fifo.exists()


def test_the_lock_of_a_spool_is_that_of_a_file_in_it(tmp_path: pathlib.Path) -> None:
    spool = Spool(SpoolConfig(str(tmp_path)))
    with (spool.folder / ".lock").open("r+") as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    Spool(SpoolConfig(str(tmp_path))).close()
    assert spool.folder.exists(), "a living process keeps its folder"
    spool.close()


ODD_NAMES = ["labels[26]", "labels*", "labels?"]


def check_odd_output(root: str, put: object, name: str) -> None:
    """Asserts that an output whose name is a pattern, too, is looked for, and deleted, by its very name."""
    other = "labels2" if "[" in name else "labelsX"
    assert callable(put)
    for folder in (name, other):
        for key in ("runs/r1.json", ".staging/run=r1/.draft-1", ".staging/run=r1/videos/part-0.staged"):
            put(f"{folder}/{key}", b"{}")
    mine, others = f"{root}/{name}", f"{root}/{other}"
    assert storage.find_files(mine, "runs/*.json") == [f"{mine}/runs/r1.json"]
    storage.delete_folder(f"{mine}/.staging")
    assert storage.find_files(mine, ".staging/run=*/**") == []
    assert len(storage.find_files(others, ".staging/run=*/**")) == 2, "another output keeps its files"
    storage.delete_files([f"{mine}/runs/r1.json"])
    assert storage.find_files(mine, "runs/*.json") == []
    assert storage.find_files(others, "runs/*.json") == [f"{others}/runs/r1.json"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_output_on_s3_may_hold_any_letter(s3: S3Server, proxy: FaultyProxy, name: str) -> None:
    check_odd_output(s3.uri, s3.put, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["labels[26]"])
def test_an_output_on_google_cloud_storage_may_hold_any_letter(gcs: GcsServer, name: str) -> None:
    check_odd_output(gcs.uri, gcs.put, name)


def test_a_folder_on_s3_may_hold_brackets(s3: S3Server, proxy: FaultyProxy) -> None:
    from reelbeam.transforms.inputs.expansion import expand_input

    video = s3.put("in [2026]/a.mp4", b"1")
    s3.put("in 2/b.mp4", b"1")
    assert [found.video_uri for found in expand_input(f"s3://{BUCKET}/in [2026]/")] == [video]
    s3.delete("in 2/b.mp4")
    assert [found.video_uri for found in expand_input(f"s3://{BUCKET}/in [2026]")] == [video]


def touch(path: pathlib.Path, data: bytes, seconds: float) -> None:
    path.write_bytes(data)
    os.utime(path, (seconds, seconds))


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_local_file_that_was_replaced_after_the_listing_has_changed(tmp_path: pathlib.Path, change: str) -> None:
    path = tmp_path / "a.mp4"
    touch(path, b"1234", 1000)
    video = storage.identified(VideoRef(str(path)))
    touch(path, b"12345" if change == "size" else b"4321", 1000 if change == "size" else 2000)
    message = f"^{path} changed after it was listed; run again$"
    with pytest.raises(VideoChangedError, match=message), storage.local_file(video, 100):
        raise AssertionError("it must not be opened")


@pytest.mark.parametrize("error", [None, NotAVideoError("broken off")])
def test_a_local_file_that_is_written_while_it_is_read_has_changed(
    tmp_path: pathlib.Path, error: NotAVideoError | None
) -> None:
    path = tmp_path / "a.mp4"
    touch(path, b"1234", 1000)
    video = storage.identified(VideoRef(str(path)))
    with pytest.raises(VideoChangedError), storage.local_file(video, 100):
        touch(path, b"4321", 2000)
        if error:
            raise error
    with storage.local_file(storage.identified(VideoRef(str(path))), 100):
        path.unlink()  # what was opened before can be read to its end


def test_a_file_that_is_the_same_keeps_its_error(tmp_path: pathlib.Path) -> None:
    touch(tmp_path / "a.mp4", b"1234", 1000)
    with (
        pytest.raises(NotAVideoError, match="broken off"),
        storage.local_file(storage.identified(VideoRef(str(tmp_path / "a.mp4"))), 100),
    ):
        raise NotAVideoError("broken off")


def test_a_bare_reference_is_not_compared(tmp_path: pathlib.Path) -> None:
    touch(tmp_path / "a.mp4", b"1234", 1000)
    with storage.local_file(VideoRef(str(tmp_path / "a.mp4"), 4), 100) as path:
        assert path == str(tmp_path / "a.mp4")
