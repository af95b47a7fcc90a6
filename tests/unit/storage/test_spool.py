"""Remote videos on local disk: fetched once, in parts, within a limit, and removed with the process."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import numpy as np
import processes
import pytest
from faulty_proxy import FaultyProxy
from object_stores import S3Server

from reelbeam.transforms import metrics, storage
from reelbeam.transforms.errors import ObjectTooLargeError, UnavailableError
from reelbeam.transforms.storage import ObjectInfo
from reelbeam.transforms.storage.spool import folder as spool_module
from reelbeam.transforms.storage.spool.blocks import Blocks
from reelbeam.transforms.storage.spool.folder import MAX_BYTES, Spool, SpoolConfig, spool_of
from reelbeam.transforms.storage.spool.spooled_video import BLOCK_BYTES
from reelbeam.transforms.storage.stores.registry import store_for

DATA = np.random.default_rng(5).bytes(20 * BLOCK_BYTES + 12345)


@pytest.fixture
def spool(tmp_path: pathlib.Path) -> Iterator[Spool]:
    spool = Spool(SpoolConfig(str(tmp_path / "spool"), 30 * BLOCK_BYTES))
    yield spool
    spool.close()
    assert list((tmp_path / "spool").iterdir()) == []


def read(spool: Spool, video: ObjectInfo, start: int, stop: int) -> bytes:
    with spool.acquire(video, store_for(video.uri)) as file:
        file.fetch(start, stop)
        return os.pread(file.fileno(), stop - start, start)


def on_disk(spool: Spool) -> int:
    return sum(path.stat().st_blocks * 512 for path in spool.folder.iterdir())


def test_a_part_fetches_its_blocks_once(s3: S3Server, proxy: FaultyProxy, spool: Spool) -> None:
    video = storage.stat(s3.put("a.mp4", DATA))
    start, stop = 7 * BLOCK_BYTES + 100, 8 * BLOCK_BYTES + 100
    for _ in range(2):
        assert read(spool, video, start, stop) == DATA[start:stop]
    assert proxy.bytes_of("a.mp4") == 2 * BLOCK_BYTES == on_disk(spool)


def test_reading_on_takes_few_requests_and_each_byte_once(s3: S3Server, proxy: FaultyProxy, spool: Spool) -> None:
    video = storage.stat(s3.put("a.mp4", DATA))
    with spool.acquire(video, store_for(video.uri)) as file:
        for start in range(0, len(DATA), 1 << 15):
            stop = min(start + (1 << 15), len(DATA))
            there = file.fetch(start, stop)
            assert there[0] == 0 and there[1] >= stop
            assert os.pread(file.fileno(), stop - start, start) == DATA[start:stop]
    ranges = [request.range for request in proxy.requests if request.method == "GET"]
    assert len(ranges) <= 14 and len(set(ranges)) == len(ranges)
    assert proxy.bytes_of("a.mp4") == len(DATA)


def test_threads_share_what_is_fetched(s3: S3Server, proxy: FaultyProxy, spool: Spool) -> None:
    video = storage.stat(s3.put("a.mp4", DATA))
    proxy.fault = lambda request: "slow"
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(read(spool, video, 0, len(DATA)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [DATA] * 4
    assert proxy.bytes_of("a.mp4") == len(DATA)


def test_the_descriptor_cannot_write(s3: S3Server, proxy: FaultyProxy, spool: Spool) -> None:
    video = storage.stat(s3.put("a.mp4", b"12345"))
    with spool.acquire(video, store_for(video.uri)) as file, pytest.raises(OSError):
        os.write(file.fileno(), b"x")


def test_the_oldest_goes_first_and_one_in_use_never(s3: S3Server, proxy: FaultyProxy, spool: Spool) -> None:
    size = 10 * BLOCK_BYTES
    videos = [storage.stat(s3.put(f"{k}.mp4", DATA[k : k + size])) for k in range(4)]
    metrics.reset_tally()
    with spool.acquire(videos[0], store_for(videos[0].uri)) as first:
        first.fetch(0, 2 * BLOCK_BYTES)
        for k in (1, 2, 3):
            assert read(spool, videos[k], 0, size) == DATA[k : k + size]
            assert on_disk(spool) <= spool.max_bytes
        assert metrics.tally()[metrics.SPOOL_EVICTIONS] == 1
        assert os.pread(first.fileno(), 100, 0) == DATA[:100]
    sent = [proxy.bytes_of(f"{k}.mp4") for k in range(4)]
    assert sent[0] == 2 * BLOCK_BYTES and sent[1:] == [size] * 3
    assert read(spool, videos[3], 0, size) == DATA[3 : 3 + size]  # is there still
    assert proxy.bytes_of("3.mp4") == size
    assert read(spool, videos[1], 0, size) == DATA[1 : 1 + size]  # had to go
    assert proxy.bytes_of("1.mp4") == 2 * size
    assert metrics.tally()[metrics.BYTES_FETCHED] == sum(proxy.bytes_of(f"{k}.mp4") for k in range(4))


def test_a_full_spool_makes_the_next_file_wait(s3: S3Server, proxy: FaultyProxy, spool: Spool) -> None:
    first, second = (storage.stat(s3.put(name, DATA)) for name in ("a.mp4", "b.mp4"))
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(read(spool, second, 0, 5)))
    with spool.acquire(first, store_for(first.uri)):
        thread.start()
        thread.join(0.3)
        assert thread.is_alive() and proxy.bytes_of("b.mp4") == 0
    thread.join(30)
    assert found == [DATA[:5]]


def test_what_is_larger_than_the_cap_names_the_flag(spool: Spool) -> None:
    video = ObjectInfo("s3://corpus/huge.mp4", 31 * BLOCK_BYTES, "etag:0")
    with (
        pytest.raises(ObjectTooLargeError, match="--spool_bytes"),
        spool.acquire(video, store_for("s3://corpus/huge.mp4")),
    ):
        pass


def test_a_nearly_full_disk_is_not_a_failure_of_the_video(tmp_path: pathlib.Path) -> None:
    spool = Spool(SpoolConfig(str(tmp_path / "spool")), free_bytes=lambda place: 1_000_000)
    store = store_for("s3://corpus/a.mp4")
    raises = pytest.raises(
        UnavailableError, match=f"disk of {tmp_path}/spool had room for no more than 800000: .*--spool_dir"
    )
    with raises as caught, spool.acquire(ObjectInfo("s3://corpus/a.mp4", 5_000_000, "etag:0"), store):
        pass
    assert caught.value.transient
    huge = ObjectInfo("s3://corpus/a.mp4", MAX_BYTES + 1, "etag:0")  # which no disk's room would help
    with pytest.raises(ObjectTooLargeError), spool.acquire(huge, store):
        pass
    spool.close()


def test_threads_get_the_same_spool(tmp_path: pathlib.Path) -> None:
    for number in range(500):  # what dead processes left: to remove it takes the first one until all others come
        (tmp_path / f"reelbeam-spool-{number}").mkdir()
    start, found = threading.Barrier(8), []

    def use() -> None:
        start.wait()
        found.append(spool_of(SpoolConfig(str(tmp_path))))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(map(id, found))) == 1 == len(list(tmp_path.iterdir()))
    assert spool_of(SpoolConfig(str(tmp_path))) is found[0]
    spool_module._spools.popitem()[1].close()
    assert list(tmp_path.iterdir()) == []


EXITING = """
    import sys
    from reelbeam.pipeline import cli
    from reelbeam.pipeline.reports.summary_json import Progress
    from reelbeam.transforms.storage.spool.folder import SpoolConfig, spool_of

    def command(argv):
        (spool_of(SpoolConfig(sys.argv[1])).folder / "1").write_bytes(b"x" * 1000)
        if sys.argv[2] == "130":
            raise KeyboardInterrupt
        return int(sys.argv[2])

    cli.main = lambda: cli._guarded(command, [], Progress())
    cli.entry_point()
"""


@pytest.mark.parametrize("code", [0, 1, 130])
def test_a_command_leaves_no_files_with_any_exit_code(tmp_path: pathlib.Path, code: int) -> None:
    command = [sys.executable, "-c", textwrap.dedent(EXITING), str(tmp_path), str(code)]
    assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == code
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_names_the_flag(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match="--spool_dir"):
        Spool(SpoolConfig(str(tmp_path / "file" / "spool")))


def test_a_full_disk_names_the_flags(s3: S3Server, proxy: FaultyProxy, spool: Spool) -> None:
    """A file size limit simulates the full disk: the same code path, another errno."""
    import resource

    video = storage.stat(s3.put("a.mp4", DATA))
    store = store_for(video.uri)
    earlier = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with spool.acquire(video, store) as file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            with pytest.raises(UnavailableError, match="--spool_bytes.*--spool_dir"):
                file.fetch(0, 5)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, earlier)
        file.fetch(0, 5)  # the failed fetch left no claim behind


SPOOLER = """
    import sys
    from reelbeam.transforms.storage.spool.folder import SpoolConfig, spool_of
    spool = spool_of(SpoolConfig(sys.argv[1]))
    (spool.folder / "1").write_bytes(b"x" * 1000)
    print(spool.folder, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(SPOOLER), str(tmp_path)]
    killed, living = (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    )
    assert killed.stdout and living.stdout
    killed_folder, living_folder = (pathlib.Path(p.stdout.readline().strip()) for p in (killed, living) if p.stdout)
    killed.kill()
    killed.wait()
    assert (killed_folder / "1").exists()  # no process could remove it
    Spool(SpoolConfig(str(tmp_path))).close()
    assert not killed_folder.exists() and (living_folder / "1").exists()
    living.communicate()  # ends by itself
    assert list(tmp_path.iterdir()) == []


def test_no_descriptor_stays_open(s3: S3Server, proxy: FaultyProxy, spool: Spool) -> None:
    videos = [storage.stat(s3.put(f"{k}.mp4", b"12345")) for k in range(5)]
    assert read(spool, videos[0], 0, 5) == b"12345"  # the client's connection stays
    before = processes.open_descriptors().total()
    for video in videos:
        assert read(spool, video, 0, 5) == b"12345"
    assert processes.open_descriptors().total() <= before


def test_claims() -> None:
    blocks = Blocks(100)
    assert blocks.claim(40, 42) == (40, 42)
    assert blocks.claim(40, 42) is None and not blocks.is_there(40, 42)
    assert blocks.claim(41, 44) == (42, 44)  # what others fetch is left out
    blocks.settle((40, 42), are_there=True)
    blocks.settle((42, 44), are_there=False)
    assert blocks.is_there(40, 42) and not blocks.is_there(40, 43)
    assert blocks.run_around(41) == (40, 42)
    assert blocks.claim(42, 43) == (42, 43)
    blocks.settle((42, 43), are_there=True)
    for expected in ((43, 44), (44, 45), (45, 46), (46, 47), (47, 48), (48, 50), (50, 52), (52, 55)):
        claimed = blocks.claim(expected[0], expected[0] + 1)
        assert claimed == expected
        blocks.settle(claimed, are_there=True)
    blocks.settle((0, 40), are_there=True)
    assert blocks.claim(55, 56) == (55, 68)
    assert blocks.claim(99, 100) == (99, 100)
    assert Blocks(100).claim(0, 100) == (0, 64)  # a request is never larger than that
