"""A small job on the runner that the flags name. On a cluster, it runs checks on the workers.

The workers write their results to a folder below --temp_location or --output, which this module removes. No runner
returns values to the program that started a job.
"""

from __future__ import annotations

import contextlib
import functools
import json
import secrets
import socket
import tempfile
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from reelbeam.pipeline.doctor.findings import Finding, HostChecks, worst
from reelbeam.pipeline.doctor.registry import CHECKS, find_checks
from reelbeam.pipeline.doctor.running import run_check
from reelbeam.pipeline.doctor.subject import Subject
from reelbeam.pipeline.job.jobs import make_program, run_job
from reelbeam.pipeline.runners.registry import runner_of
from reelbeam.transforms import storage
from reelbeam.transforms.errors import ConfigError, StorageError
from reelbeam.transforms.typed_json import from_json, parse_json, to_json
from reelbeam.transforms.wording import counted

_NUM_ELEMENTS = 32
"""Elements of the job. A runner spreads them over its workers; workers of one host check once."""


def check_runner(subject: Subject) -> Finding:
    """Runs the job. On this machine it has no checks: they have run already."""
    runner = runner_of(subject.beam_flags)
    names = () if runner.is_local else tuple(check.id for check in CHECKS if check.on_workers)
    with _results_folder(subject, runner.is_local) as folder:
        program = make_program(runner)
        numbers = program | "Number" >> beam.Create(range(_NUM_ELEMENTS), reshuffle=False) | beam.Reshuffle()
        _ = numbers | "Check" >> beam.ParDo(_CheckHost(names, _on_worker(subject), folder))
        end = run_job(program, runner)
        if end.error is not None:
            text = f"the job failed: {end.error}"[-600:]
            return Finding("error", text, "a job that succeeds", "see the logs of the runner's workers")
        if end.job is not None:
            return Finding("unknown", f"{end.job} was submitted", "the end of the job", "run it without a template")
        hosts = tuple(_read_results(folder))
    return judge_hosts(hosts, type(runner).__name__)


def judge_hosts(hosts: Sequence[HostChecks], runner: str) -> Finding:
    """Returns the finding for the results of the workers."""
    if not hosts:
        return Finding("error", f"{runner}: no worker answered", "the results of the workers", "see their logs")
    status = worst(check.status for host in hosts for check in host.checks)
    found = f"{runner}: the job ran on {counted(len(hosts), 'host')} ({', '.join(host.host for host in hosts)})"
    if status == "ok":
        return Finding("ok", found, hosts=tuple(host for host in hosts if host.checks))
    return Finding(status, found, "workers without complaints", "see the checks of each worker", tuple(hosts))


def _on_worker(subject: Subject) -> Subject:
    """Returns what workers check: nothing that only this machine has."""
    return Subject(engine=subject.engine, precision=subject.precision, allow_unconfined=subject.allow_unconfined)


@contextlib.contextmanager
def _results_folder(subject: Subject, is_local: bool) -> Iterator[str]:
    if is_local:
        with tempfile.TemporaryDirectory(prefix="reelbeam-doctor-") as folder:
            yield folder
        return
    temporary = PipelineOptions(list(subject.beam_flags)).view_as(GoogleCloudOptions).temp_location
    place = temporary or subject.output
    if not place:
        raise ConfigError("--runner names a cluster, whose workers need a place for results; pass --output DIR")
    folder = f"{storage.normalize(place).rstrip('/')}/.reelbeam-doctor-{secrets.token_hex(8)}"
    try:
        yield folder
    finally:
        with contextlib.suppress(StorageError):
            storage.delete_folder(folder)


class _CheckHost(beam.DoFn):
    """Runs checks once in each process, and writes their results to a file of the host."""

    def __init__(self, names: Sequence[str], subject: Subject, folder: str) -> None:
        self._names = tuple(names)
        self._subject = subject
        self._folder = folder

    def process(self, _: int) -> Iterable[None]:
        _check_this_host(self._names, self._subject, self._folder)
        return ()


@functools.lru_cache(maxsize=1)
def _check_this_host(names: tuple[str, ...], subject: Subject, folder: str) -> None:
    checks = find_checks(names) if names else ()
    results = tuple(run_check(check, subject)[0] for check in checks)
    text = json.dumps(to_json(HostChecks(socket.gethostname(), results)))
    place = f"{folder}/{secrets.token_hex(8)}.json"
    with storage.store_for(place).create(place) as file:
        file.write(text.encode())


def _read_results(folder: str) -> Iterator[HostChecks]:
    """Yields the results of each host once, in the order of their names."""
    found: dict[str, HostChecks] = {}
    for uri in storage.find_files(folder, "*.json"):
        with storage.open_binary(uri) as file:
            host = from_json(HostChecks, parse_json(file.read()))
        found[host.host] = host
    yield from (found[name] for name in sorted(found))
