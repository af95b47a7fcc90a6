"""The committed runs of an output: their documents, the current files of their rows, and the newest run.

A compaction holds the rows of other runs, whose documents stay (`reelbeam.transforms.output.compaction`).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from reelbeam.transforms import storage
from reelbeam.transforms.output.documents import read_document
from reelbeam.transforms.output.run_document import (
    CommittedDocument,
    CompactionDocument,
    RunDocument,
    committed_document,
)
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.schemas import TABLES
from reelbeam.transforms.storage import plain_files

COMPACTION = "-compact-"
"""A part of the names of compactions that names of other runs do not have."""


class Run(NamedTuple):
    """A committed run.

    Attributes:
      paths: the paths of its files, which may have been compacted.
      summary: its document.
      compacted_into: the compaction that holds its rows; None if its own files hold them.
    """

    paths: RunPaths
    summary: CommittedDocument
    compacted_into: str | None = None

    @property
    def run_id(self) -> str:
        """The name of the run."""
        return self.paths.run_id

    @property
    def is_compaction(self) -> bool:
        """Whether it is a compaction, which holds rows of other runs."""
        return isinstance(self.summary, CompactionDocument)

    @property
    def labeled(self) -> RunDocument:
        """The document of a run that is not a compaction. Raises TypeError for a compaction, which is a bug."""
        if isinstance(self.summary, CompactionDocument):
            raise TypeError(f"{self.run_id} is a compaction")
        return self.summary

    def files(self, table: str) -> list[str]:
        """Returns the paths of the run's own files of a table; empty if a compaction holds its rows.

        The paths are relative to the current output, which may have been moved since the run.
        """
        if self.compacted_into is not None:
            return []
        # Beam's join takes 40 µs per name, and a run may have a hundred thousand files.
        root = self.paths.output.rstrip("/")
        names = [path.rsplit("/", 3)[1:] for path in self.summary.files.of(table)]
        if self.is_compaction:
            staged = self.paths.staged_names(table)
            return [
                f"{self.paths.staging}/{table}/{name}.staged"
                if f"{name}.staged" in staged
                else f"{root}/{table}/{run}/{name}"
                for table, run, name in names
            ]
        return [f"{root}/{'/'.join(name)}" for name in names]


def committed_runs(output: str) -> Iterator[Run]:
    """Yields the runs of an output in the order of their names, which begin with the time, with one document at a time.

    Raises:
      StorageError: the output cannot be read.
    """
    listed = _list_runs(output)
    return (listed.read(run_id) for run_id in listed.uris)


def runs_with_files(output: str) -> Iterator[Run]:
    """Yields the runs with their own files, in the order of `committed_runs`.

    The documents of compacted runs, of which there may be thousands, are not read.

    Raises:
      StorageError: the output cannot be read.
    """
    listed = _list_runs(output)
    return (listed.read(run_id) for run_id in listed.uris if run_id not in listed.holders)


class _ListedRuns(NamedTuple):
    """The runs of an output by name, and the compactions that hold rows.

    Attributes:
      output: the folder.
      uris: the URI of each run's document, in the order of the names.
      compactions: the documents of the compactions that are not compacted themselves.
      holders: the compaction that holds the rows, for each run or compaction that was compacted.
    """

    output: str
    uris: Mapping[str, str]
    compactions: Mapping[str, CommittedDocument]
    holders: Mapping[str, str]

    def read(self, run_id: str) -> Run:
        """Returns a run, with its document."""
        document = self.compactions.get(run_id) or read_summary(self.uris[run_id])
        return Run(RunPaths(self.output, run_id), document, self.holders.get(run_id))


def _list_runs(output: str) -> _ListedRuns:
    _require_no_links(output)
    uris = {name_of(uri): uri for uri in storage.find_files(output, "runs/*.json")}
    compactions: dict[str, CommittedDocument] = {}
    holders: dict[str, str] = {}
    # The newest first: it names all runs in it, so older compactions among them need not be read.
    for run_id in sorted((run_id for run_id in uris if COMPACTION in run_id), reverse=True):
        if run_id not in holders:
            compactions[run_id] = document = read_summary(uris[run_id])
            if isinstance(document, CompactionDocument):
                holders |= dict.fromkeys(document.compacted, run_id)
    return _ListedRuns(output, uris, compactions, holders)


def _require_no_links(output: str) -> None:
    """Raises StorageError if a folder of a local output is a link, because a search would leave the output."""
    path = storage.local_path(output)
    if path is not None:
        with storage.storage_errors(output):
            for folder in ("runs", *TABLES):
                plain_files.names_in(f"{path}/{folder}")


def read_summary(uri: str) -> CommittedDocument:
    """Returns the document of a run.

    Raises:
      StorageError: the document cannot be read, is damaged, has another schema version, or is not valid.
    """
    return committed_document(uri, name_of(uri), read_document(uri))


def name_of(uri: str) -> str:
    """Returns the name of the run whose document is at `uri`."""
    return uri.rsplit("/", 1)[-1].removesuffix(".json")


def read_run(paths: RunPaths) -> RunDocument | None:
    """Returns the document of a run that labeled; None if there is none. Raises StorageError, as `read_summary`."""
    found = read_summary(paths.document) if storage.exists(paths.document) else None
    return found if isinstance(found, RunDocument) else None


class Latest(NamedTuple):
    """Facts about the newest runs of an output.

    Attributes:
      summary: the document of the last run that labeled.
      labeled_at: the time of the newest rows.
    """

    summary: CommittedDocument
    labeled_at: datetime.datetime


def utc_now() -> datetime.datetime:
    """Returns the current time, to the second."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def time_after(last: Latest | None) -> datetime.datetime:
    """Returns the time of a run's rows: now, or one second after the newest rows if another clock was ahead."""
    return utc_now() if last is None else max(utc_now(), last.labeled_at + datetime.timedelta(seconds=1))


def latest_run(output: str) -> Latest | None:
    """Returns facts about the newest runs of an output; None: nothing is committed.

    The last run by name has the newest rows, unless it waited for the lock of a run whose clock was ahead. In that
    case, it is the last run that is not in the future.

    Raises:
      StorageError: the output cannot be read.
    """
    uris = sorted(storage.find_files(output, "runs/*.json"), key=lambda uri: (COMPACTION not in uri, name_of(uri)))
    if not uris:
        return None
    now = f"{utc_now():%Y%m%dT%H%M%SZ}"
    past = [uri for uri in uris if name_of(uri)[: len(now)] <= now]
    summaries = [read_summary(uri) for uri in dict.fromkeys([uris[-1], *past[-1:]])]
    return Latest(summaries[0], max(map(_labeled_at, summaries)))


def _labeled_at(document: CommittedDocument) -> datetime.datetime:
    labeled_at = None if isinstance(document, CompactionDocument) else document.labeled_at
    return datetime.datetime.fromisoformat(labeled_at or document.started_at)
