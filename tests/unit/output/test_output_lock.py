"""One run at a time: the holder is reported, a dead holder is detected, and a run that lost its lock is refused."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from lock_records import lock_record
from object_stores import check_conditions
from processes import wait_until

from reelbeam.transforms.errors import LockLostError, OutputLockedError, StorageError
from reelbeam.transforms.output.lock.lock_file import LockRecord, is_free, read_lock, this_process
from reelbeam.transforms.output.lock.output_lock import LockTicket, OutputLock
from reelbeam.transforms.storage import store_for

HOLD = """
import sys
from reelbeam.transforms.output.lock.output_lock import LockTicket, OutputLock
with OutputLock(LockTicket(sys.argv[1], "other")):
    print("held", flush=True)
    sys.stdin.read()  # until it is killed, or its parent ends
"""


def lock(folder: pathlib.Path, holder: str = "mine", **more: Any) -> OutputLock:
    return OutputLock(LockTicket(str(folder), holder), **more)


def hold_elsewhere(folder: pathlib.Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_the_error_of_the_second_run_names_the_holder(tmp_path: pathlib.Path) -> None:
    with lock(tmp_path), pytest.raises(OutputLockedError, match=r"run mine on \S+ \(process \d+\) holds it since"):
        lock(tmp_path, "second").__enter__()
    with lock(tmp_path, "second"):
        assert lock_record(str(tmp_path)).holder == "second"


def test_a_holder_that_was_killed_is_found_out_at_once(tmp_path: pathlib.Path) -> None:
    process = hold_elsewhere(tmp_path)
    with pytest.raises(OutputLockedError, match=f"process {process.pid}"):
        lock(tmp_path).__enter__()
    process.send_signal(signal.SIGKILL)
    process.wait()
    with lock(tmp_path):
        pass


def test_a_waiting_run_gets_the_lock_after_the_other(tmp_path: pathlib.Path) -> None:
    order = []
    waits, is_released = threading.Event(), threading.Event()

    def pause(seconds: float) -> None:
        waits.set()
        assert seconds >= 1 and is_released.wait(20)

    def second() -> None:
        with lock(tmp_path, "second", wait=True, sleep=pause):
            order.append("second")

    thread = threading.Thread(target=second)
    with lock(tmp_path, "first"):
        thread.start()
        assert waits.wait(20)
        order.append("first")
    is_released.set()
    thread.join(20)
    assert order == ["first", "second"]


def test_of_many_that_come_at_once_one_gets_it(tmp_path: pathlib.Path) -> None:
    start = threading.Barrier(8)
    results: list[str] = []

    def run(number: int) -> None:
        start.wait()
        try:
            lock(tmp_path, f"run{number}").__enter__()
            results.append("acquired")
        except OutputLockedError:
            results.append("refused")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["acquired"] + ["refused"] * 7


def elsewhere(**changes: Any) -> LockRecord:
    """The lock of a process of another machine."""
    here = this_process()
    assert here is not None
    lock = LockRecord("x", "far", dataclasses.replace(here, kernel="another"), 1, "", 300.0)
    return dataclasses.replace(lock, **changes)


def test_a_holder_elsewhere_is_believed_until_its_lease_ends() -> None:
    assert not is_free(elsewhere(lease_ends_at=time.time() + 5))
    assert is_free(elsewhere(lease_ends_at=time.time() - 5))
    assert is_free(elsewhere(lease_ends_at=time.time() + 5, released_at="2026-01-01T00:00:00+00:00"))
    assert not is_free(elsewhere(process=None, lease_ends_at=time.time() + 5))


def test_a_process_of_the_same_number_is_another_one() -> None:
    here = this_process()
    assert here is not None
    assert not is_free(elsewhere(process=here, lease_ends_at=0.0))  # alive, however old its lease
    assert is_free(elsewhere(process=dataclasses.replace(here, start=here.start - 1), lease_ends_at=time.time() + 99))


def test_a_lease_is_renewed(tmp_path: pathlib.Path) -> None:
    def end() -> float:
        found = read_lock(str(tmp_path))
        assert found is not None
        return found.lease_ends_at

    with lock(tmp_path, lease_seconds=1.0):
        first = end()
        wait_until(lambda: end() > first)


def test_a_run_that_was_taken_over_is_refused(tmp_path: pathlib.Path) -> None:
    ticket = LockTicket(str(tmp_path), "mine")
    with pytest.raises(LockLostError, match="the lock file is missing"):
        ticket.require()
    with OutputLock(ticket):
        ticket.require()
        uri = f"{tmp_path}/.staging/lock.json"
        store = store_for(uri)
        found = store.read_versioned(uri)
        assert found is not None
        taken = json.loads(found.data) | {"holder": "other"}
        assert store.write_if(uri, json.dumps(taken).encode(), found.version)
        with pytest.raises(LockLostError, match="run other on"):
            ticket.require()
    assert (
        json.loads(pathlib.Path(tmp_path, ".staging/lock.json").read_bytes()) == taken
    )  # and it doesn't release what is another's


def test_the_commit_releases_the_lock_of_a_job_without_launcher(tmp_path: pathlib.Path) -> None:
    ticket = LockTicket(str(tmp_path), "mine", outlives_launcher=True)
    with OutputLock(ticket):
        with pytest.raises(OutputLockedError):
            lock(tmp_path, "second").__enter__()
        ticket.release_after_commit()
        with pytest.raises(LockLostError, match="released it at"):
            ticket.require()
        with lock(tmp_path, "second"):
            pass


def test_an_output_that_is_a_file_cannot_be_held(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        lock(tmp_path / "file").__enter__()


def test_a_conditional_file_is_written_only_over_what_was_read(tmp_path: pathlib.Path) -> None:
    check_conditions(f"{tmp_path}/deep/down/file", "some version")


def test_to_require_it_is_to_hold_it_for_another_lease(tmp_path: pathlib.Path) -> None:
    ticket = LockTicket(str(tmp_path), "mine", outlives_launcher=True)
    with OutputLock(ticket, lease_seconds=100.0):
        uri = f"{tmp_path}/.staging/lock.json"
        store = store_for(uri)
        found = store.read_versioned(uri)
        assert found is not None
        over = json.loads(found.data) | {"lease_ends_at": time.time() - 1}
        assert store.write_if(uri, json.dumps(over).encode(), found.version)
        assert is_free(lock_record(str(tmp_path)))
        ticket.require()
        renewed = read_lock(str(tmp_path))
        assert renewed is not None and not is_free(renewed)


def test_a_running_job_keeps_the_output_locked(tmp_path: pathlib.Path) -> None:
    ticket = LockTicket(str(tmp_path), "mine", outlives_launcher=True)
    with OutputLock(ticket) as held:
        held.leave_to_job()
    with pytest.raises(OutputLockedError, match="run mine"):
        lock(tmp_path, "second").__enter__()
    ticket.release_after_commit()
    with OutputLock(ticket) as held:
        held.leave_to_job()
        held.take_back()
    with lock(tmp_path, "second"):
        pass


def test_a_launcher_of_a_cluster_is_not_known_by_its_process(tmp_path: pathlib.Path) -> None:
    with lock(tmp_path, ends_with_process=False):
        held = read_lock(str(tmp_path))
        assert held is not None and held.process is None


@pytest.mark.parametrize("left", ["", "{", "[]", "{}"])
def test_a_lock_that_a_loss_of_power_left_holds_nothing(tmp_path: pathlib.Path, left: str) -> None:
    (tmp_path / ".staging").mkdir()
    (tmp_path / ".staging/lock.json").write_text(left)
    assert read_lock(str(tmp_path)) is None
    with lock(tmp_path):
        assert read_lock(str(tmp_path)) is not None
