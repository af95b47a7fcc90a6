"""Commits: how a run becomes visible, all at once, and what becomes of one that was cut off.

A commit is four steps: the **decision** (one small file, written whole or not at all: it holds the run's JSON to be and
names every file), the moves of the files to their places, `runs/RUN_ID.json`, and the removal of the staging folder.
Three tables cannot be moved at one stroke, so a commit can be cut off with some files in place and others not. That is
why there is a decision: a run that was cut off before it never happened, and its staging folder is removed; one that
was cut off after it *is* decided, checked and whole, and whoever comes next finishes it. So whatever a plain glob sees
belongs to a run that counts, now or after the next start; and a reader who starts from `runs/*.json` sees whole runs
only. Every step can be repeated.

A **compaction** (`reelbeam.transforms.output.compaction`) puts the rows of many runs into few files, by the same steps
in another order. Its `runs/ID.json` names the runs whose rows it holds as "compacted"; their own JSONs stay as they
are. After the decision it comes first: from then on readers who start from `runs/*.json` take the new files, staged or
in place, and never the old ones. Then the old files go, and then the new ones come. So nobody sees a row twice at any
moment; a plain glob that looks between these two steps misses rows, until the compaction or, where that was killed, the
next start has gone on.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import NamedTuple

from apache_beam.io.filesystems import FileSystems

from reelbeam.transforms import storage
from reelbeam.transforms.errors import StorageError, UnusableFileError
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
    make_folder,
    move_file,
    to_line,
    write_atomically,
)
from reelbeam.transforms.output.runs import exists, read_summary
from reelbeam.transforms.storage import plain_files
from reelbeam.transforms.storage.documents import Count, Table, read_document, require_files, typed, wrong_value

_STAGED_RUN = re.compile(r"/\.staging/run=([^/]+)")


@dataclasses.dataclass(frozen=True)
class CommitRecord:
    """The decision about a run: its document to be, and the steps that are left to do.

    Attributes:
      summary: the document of the run, or of the compaction.
      moves: the files to move to their places: table and number.
      replaced: what a compaction removes: files, by their paths below the output.
    """

    summary: CommittedDocument
    moves: tuple[tuple[Table, Count], ...]
    replaced: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, uri: str, run_id: str, document: dict[str, object]) -> CommitRecord:
        """Returns the record of the commit of a run; raises UnusableFileError where it says what no run writes."""
        if document.keys() - {"replaced"} != {"summary", "moves"}:
            raise UnusableFileError(f"{uri} is not the record of a commit: remove it")
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
    """What was found of runs that were cut off: those that were finished, and those that were removed."""

    finished: list[str]
    removed: list[str]


def record_decision(
    paths: RunPaths, summary: CommittedDocument, files: Sequence[WrittenFile], replaced: Sequence[str] = ()
) -> None:
    """Writes the decision: from now on the run will be committed. Everything must have been checked before.

    Args:
      paths, summary, files: of the run.
      replaced: what a compaction removes: files, by their paths below the output.
    """
    # Videos last: they are what readers start from, should the moving be cut off.
    moves = sorted(files, key=lambda file: (file.table == "videos", file))
    decision = CommitRecord(summary, tuple((file.table, file.shard) for file in moves), tuple(replaced))
    write_atomically(paths.decision, lambda sink: sink.write(to_line(decision)))


def finish(paths: RunPaths) -> CommittedDocument | None:
    """Takes a decided run to its end, wherever it was cut off.

    Returns:
      the run's document; None where the run is not decided.
    """
    decision = read_decision(paths)
    if decision is None:
        return read_summary(paths.marker) if exists(paths.marker) else None
    if decision.replaced:
        _mark(paths, decision.summary)
        _delete([FileSystems.join(paths.output, name) for name in decision.replaced])
    for table, shard in decision.moves:
        _move(paths.staged(table, shard), paths.final(table, shard))
    if not decision.replaced:
        _mark(paths, decision.summary)
    storage.delete_folder(paths.staging)
    return decision.summary


def decided_runs(output: str) -> dict[str, CommitRecord]:
    """Returns the decisions that are not carried out to the end, by run: a commit is under way, or was cut off."""
    decisions = {run_id: read_decision(RunPaths(output, run_id)) for run_id in staged_runs(output)}
    return {run_id: decision for run_id, decision in decisions.items() if decision is not None}


def recover(output: str) -> Recovered:
    """Finishes the runs that were decided and removes what the others left. Only for who holds the output's lock."""
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
    """Removes a run whose decision names a file that is nowhere, and returns whether it was one.

    That is what a run leaves that came back from a long sleep when its staging folder had been removed already: nothing
    can come of it, and it must not stand in everybody's way.
    """
    decision = read_decision(paths)
    if decision is None or decision.replaced:
        return False
    places = [(paths.staged(table, shard), paths.final(table, shard)) for table, shard in decision.moves]
    if all(FileSystems.exists(staged) or FileSystems.exists(final) for staged, final in places):
        return False
    _delete([final for _, final in places])
    return True


def staged_runs(output: str) -> list[str]:
    """Returns the runs that have something in the staging folder: running, cut off or refused."""
    path = storage.local_path(output)
    if path is None:
        uris = storage.find_files(output, ".staging/run=*/**")
    else:
        with storage.storage_errors(output):
            uris = [f"/.staging/{name}" for name in plain_files.names_in(f"{path}/.staging")]
    found = map(_STAGED_RUN.search, uris)
    return sorted({match[1] for match in found if match})


def read_decision(paths: RunPaths) -> CommitRecord | None:
    """Returns the decision about a run; None where there is none.

    Raises:
      StorageError: it cannot be read, is damaged, or names what no run writes.
    """
    if not exists(paths.decision):
        return None
    return CommitRecord.from_json(paths.decision, paths.run_id, read_document(paths.decision))


def read_refusal(paths: RunPaths) -> RejectedRun | None:
    """Returns the document of a rejected run; None where there is none. Raises StorageError, as `read_summary`."""
    return rejected_run(paths.refusal, read_document(paths.refusal)) if exists(paths.refusal) else None


def _move(staged: str, final: str) -> None:
    """Moves a file; a commit that is repeated after it was cut off finds some moved already."""
    if not FileSystems.exists(staged) and FileSystems.exists(final):
        return
    make_folder(FileSystems.split(final)[0])
    move_file(staged, final)


def _mark(paths: RunPaths, summary: CommittedDocument) -> None:
    write_atomically(paths.marker, lambda sink: sink.write(to_line(summary)), draft_folder=paths.staging)


def _delete(uris: Sequence[str]) -> None:
    """Deletes files, of which some may be gone already, and the folders that are empty then."""
    local = [path for path in map(storage.local_path, uris) if path is not None]
    for path in local:
        plain_files.remove_file(path)
    for folder in {path.rpartition("/")[0] for path in local}:
        plain_files.remove_empty_folder(folder)
    if not local:
        try:
            storage.delete_files(uris)
        except StorageError:  # some stores mind what is gone already
            if left := [uri for uri in uris if FileSystems.exists(uri)]:
                storage.delete_files(left)
