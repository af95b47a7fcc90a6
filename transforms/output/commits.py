"""Commits: make a run visible at once, and recover interrupted runs.

A commit has four steps: write the **commit record** (a small file with the run document and the names of all files),
move the files to their places, write `runs/RUN_ID.json`, and remove the staging folder. Every step can be repeated.

Files cannot be moved all at once, so an interrupted commit leaves some files moved and others staged. The commit record
resolves this. A run that was interrupted before its commit record is not committed, and its staging folder is removed.
A run that was interrupted later is complete and checked, and the next run completes its commit. So all files that a
reader's pattern matches belong to a run that is committed, now or after the next start. A reader that starts from
`runs/*.json` sees complete runs only.

A **compaction** (`reelbeam.transforms.output.compaction`) writes the rows of many runs into few files, by the same
steps in another order. Its `runs/ID.json` lists the runs whose rows it holds as "compacted"; their own documents stay
unchanged. It is written directly after the commit record. From then on, readers that start from `runs/*.json` use the
new files, staged or moved, and never the old ones. Then the old files are deleted, and then the new ones are moved. So
no reader sees a row twice. A pattern that is evaluated between these two steps misses rows, until the compaction or the
next start has completed the commit.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import NamedTuple

from reelbeam.transforms import storage
from reelbeam.transforms.errors import StorageError, UnusableFileError
from reelbeam.transforms.output.documents import Count, Table, read_document, require_files, typed, wrong_value
from reelbeam.transforms.output.run_document import (
    CommittedDocument,
    CompactionDocument,
    RejectedRun,
    committed_document,
    rejected_run,
)
from reelbeam.transforms.output.run_files import (
    RunPaths,
    WrittenFile,
    to_line,
    write_atomically,
)
from reelbeam.transforms.output.runs import read_summary
from reelbeam.transforms.storage import plain_files
from reelbeam.transforms.storage.uris import joined

_STAGED_RUN = re.compile(r"/\.staging/run=([^/]+)")


@dataclasses.dataclass(frozen=True)
class CommitRecord:
    """The commit record of a run: its document and the remaining steps.

    Attributes:
      summary: the document of the run or of the compaction.
      moves: the files to move, as table and number.
      replaced: the files that a compaction removes, as paths relative to the output.
    """

    summary: CommittedDocument
    moves: tuple[tuple[Table, Count], ...]
    replaced: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, uri: str, run_id: str, document: dict[str, object]) -> CommitRecord:
        """Returns the commit record of a run. Raises UnusableFileError if it is not valid."""
        if document.keys() - {"replaced"} != {"summary", "moves"}:
            raise UnusableFileError(f"{uri} is not a commit record: remove it")
        if not isinstance(document["summary"], dict):
            raise wrong_value(uri, "summary", document["summary"])
        steps = typed(_Steps, uri, document)
        found = cls(committed_document(uri, run_id, document["summary"]), steps.moves, steps.replaced)
        compacted = found.summary.compacted if isinstance(found.summary, CompactionDocument) else ()
        require_files(uri, "replaced", found.replaced, compacted)
        return found


@dataclasses.dataclass(frozen=True)
class _Steps:
    moves: tuple[tuple[Table, Count], ...]
    replaced: tuple[str, ...] = ()


class Recovered(NamedTuple):
    """The interrupted runs whose commits were completed, and those that were removed."""

    finished: list[str]
    removed: list[str]


def write_commit_record(
    paths: RunPaths, summary: CommittedDocument, files: Sequence[WrittenFile], replaced: Sequence[str] = ()
) -> None:
    """Writes the commit record, which commits the run. All files must have been checked before.

    Args:
      paths: the paths of the run.
      summary: its document.
      files: its files.
      replaced: the files that a compaction removes, as paths relative to the output.
    """
    # Videos last, because readers join the other tables to them.
    moves = sorted(files, key=lambda file: (file.table == "videos", file))
    record = CommitRecord(summary, tuple((file.table, file.shard) for file in moves), tuple(replaced))
    write_atomically(paths.commit_record, lambda sink: sink.write(to_line(record)))


def finish(paths: RunPaths) -> CommittedDocument | None:
    """Completes the commit of a run that has a commit record.

    Returns:
      The run document; None if the run has no commit record.
    """
    record = read_commit_record(paths)
    if record is None:
        return read_summary(paths.document) if storage.exists(paths.document) else None
    if record.replaced:
        _write_document(paths, record.summary)
        _delete([joined(paths.output, name) for name in record.replaced])
    for table, shard in record.moves:
        _move(paths.staged(table, shard), paths.final(table, shard))
    if not record.replaced:
        _write_document(paths, record.summary)
    storage.delete_folder(paths.staging)
    return record.summary


def pending_commits(output: str) -> dict[str, CommitRecord]:
    """Returns the commit records of unfinished commits by run: in progress, or interrupted."""
    records = {run_id: read_commit_record(RunPaths(output, run_id)) for run_id in staged_runs(output)}
    return {run_id: record for run_id, record in records.items() if record is not None}


def recover(output: str) -> Recovered:
    """Completes the commits of runs with a commit record and removes the others. The caller holds the output's lock."""
    recovered = Recovered([], [])
    for run_id in staged_runs(output):
        paths = RunPaths(output, run_id)
        if _remove_void(paths) or finish(paths) is None:
            recovered.removed.append(run_id)
        else:
            recovered.finished.append(run_id)
        storage.delete_folder(paths.staging)
    return recovered


def _remove_void(paths: RunPaths) -> bool:
    """Removes a run whose commit record names a missing file. Returns whether it did.

    Such a record comes from a run that was suspended while its staging folder was removed. It can never be completed,
    and it must not block other runs.
    """
    record = read_commit_record(paths)
    if record is None or record.replaced:
        return False
    places = [(paths.staged(table, shard), paths.final(table, shard)) for table, shard in record.moves]
    if all(storage.exists(staged) or storage.exists(final) for staged, final in places):
        return False
    _delete([final for _, final in places])
    return True


def staged_runs(output: str) -> list[str]:
    """Returns the runs in the staging folder: running, interrupted or rejected."""
    path = storage.local_path(output)
    if path is None:
        uris = storage.find_files(output, ".staging/run=*/**")
    else:
        with storage.storage_errors(output):
            uris = [f"/.staging/{name}" for name in plain_files.names_in(f"{path}/.staging")]
    found = map(_STAGED_RUN.search, uris)
    return sorted({match[1] for match in found if match})


def read_commit_record(paths: RunPaths) -> CommitRecord | None:
    """Returns the commit record of a run; None if it has none.

    Raises:
      StorageError: it cannot be read, is damaged, or is not valid.
    """
    if not storage.exists(paths.commit_record):
        return None
    return CommitRecord.from_json(paths.commit_record, paths.run_id, read_document(paths.commit_record))


def read_rejection_record(paths: RunPaths) -> RejectedRun | None:
    """Returns the rejection record of a run; None if it has none. Raises StorageError, as `read_summary`."""
    if not storage.exists(paths.rejection_record):
        return None
    return rejected_run(paths.rejection_record, read_document(paths.rejection_record))


def _move(staged: str, final: str) -> None:
    """Moves a file, unless an interrupted commit has moved it already."""
    try:
        storage.store_for(staged).move(staged, final)
    except StorageError:
        if storage.exists(staged) or not storage.exists(final):
            raise


def _write_document(paths: RunPaths, summary: CommittedDocument) -> None:
    write_atomically(paths.document, lambda sink: sink.write(to_line(summary)), draft_folder=paths.staging)


def _delete(uris: Sequence[str]) -> None:
    """Deletes files, some of which may be missing, and the folders that become empty."""
    local = [path for path in map(storage.local_path, uris) if path is not None]
    for path in local:
        plain_files.remove_file(path)
    for folder in {path.rpartition("/")[0] for path in local}:
        plain_files.remove_empty_folder(folder)
    if not local:
        try:
            storage.delete_files(uris)
        except StorageError:  # some stores reject missing files
            if left := [uri for uri in uris if storage.exists(uri)]:
                storage.delete_files(left)
