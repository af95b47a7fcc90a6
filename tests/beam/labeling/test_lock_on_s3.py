"""The output's lock on an S3 server: moto's, over HTTP on loopback."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from faulty_proxy import FaultyProxy
from lock_records import lock_record
from object_stores import BUCKET, S3Server, check_conditions, s3_flags, used_by_beam

from reelbeam.transforms.errors import OutputLockedError
from reelbeam.transforms.output.lock.lock_file import read_lock
from reelbeam.transforms.output.lock.output_lock import (
    FIRST_JOB_LEASE_SECONDS,
    JOB_LEASE_SECONDS,
    LockTicket,
    OutputLock,
)


@pytest.fixture
def bucket(s3: S3Server) -> Iterator[str]:
    with used_by_beam(s3_flags(s3.url)):
        yield f"s3://{BUCKET}"


def test_conditions_hold(bucket: str) -> None:
    check_conditions(f"{bucket}/some/object", "etag:0123")


@pytest.mark.slow
def test_one_run_at_a_time(bucket: str) -> None:
    output = f"{bucket}/out"
    with OutputLock(LockTicket(output, "first"), lease_seconds=1.0):
        with pytest.raises(OutputLockedError, match="run first on"):
            OutputLock(LockTicket(output, "second")).__enter__()
        LockTicket(output, "first").require()
    with OutputLock(LockTicket(output, "second")):
        assert lock_record(output).holder == "second"


def test_a_lost_response_is_not_taken_for_another_run(s3: S3Server, proxy: FaultyProxy) -> None:
    """The store wrote; asked again, it refuses: the run must not take itself for another one."""
    lost = itertools.cycle(["lost", ""])
    proxy.fault = lambda request: next(lost) if request.method == "PUT" else ""
    with OutputLock(LockTicket(f"{s3.uri}/out", "first"), FIRST_JOB_LEASE_SECONDS, ends_with_process=False):
        LockTicket(f"{s3.uri}/out", "first").require()
    assert lock_record(f"{s3.uri}/out").released_at
    assert proxy.faults() == ["lost"] * 3


@pytest.mark.slow
def test_a_worker_renews_it(bucket: str) -> None:
    ticket = LockTicket(f"{bucket}/out", "job", outlives_launcher=True)
    with OutputLock(ticket, FIRST_JOB_LEASE_SECONDS) as held:
        held.leave_to_job()
    ticket.keep()
    ticket.keep()
    lock = read_lock(ticket.output)
    assert lock is not None and lock.lease_seconds == JOB_LEASE_SECONDS and not lock.released_at
    with pytest.raises(OutputLockedError, match="run job on"):
        OutputLock(LockTicket(ticket.output, "second")).__enter__()
    ticket.release_after_commit()
    ticket.keep()
    assert lock_record(ticket.output).released_at
