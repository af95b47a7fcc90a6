"""The runs of an output: how one is committed, which ones are, and what becomes of one that was cut off.

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
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from reelbeam.transforms import storage
from reelbeam.transforms.errors import StorageError
from reelbeam.transforms.output.run_document import (
    CommittedDocument,
    CompactionDocument,
    RejectedRun,
    RunDocument,
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
from reelbeam.transforms.schemas import TABLES
from reelbeam.transforms.storage import plain_files
from reelbeam.transforms.storage.documents import Count, Table, read_document, require_files, typed, wrong_value

_STAGED_RUN = re.compile(r"/\.staging/run=([^/]+)")

COMPACTION = "-compact-"
"""What the names of compactions have in them, and those of other runs have not."""


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
        """Returns the record of the commit of a run; raises StorageError where it says what no run writes."""
        if document.keys() - {"replaced"} != {"summary", "moves"}:
            raise StorageError(f"{uri} is not the record of a commit: remove it") from ValueError(uri)
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


class Run(NamedTuple):
    """A committed run: where its files are, and its document.

    Attributes:
      paths: where its files are, or were.
      summary: its document.
      compacted_into: the compaction that holds its rows now; None where its own files do.
    """

    paths: RunPaths
    summary: CommittedDocument
    compacted_into: str | None = None

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.paths.run_id

    @property
    def is_compaction(self) -> bool:
        """Whether it labeled nothing, but holds rows of others."""
        return isinstance(self.summary, CompactionDocument)

    @property
    def labeled(self) -> RunDocument:
        """The document of a run that is not a compaction. Raises TypeError: a bug."""
        if isinstance(self.summary, CompactionDocument):
            raise TypeError(f"{self.run_id} is a compaction")
        return self.summary

    def files(self, table: str) -> list[str]:
        """Returns the paths of the run's own files of a table; none where a compaction holds its rows.

        By their names below the output, since the output may have been moved or mounted elsewhere since.
        """
        if self.compacted_into is not None:
            return []
        names = [path.split("/")[-3:] for path in self.summary.files.of(table)]
        if self.is_compaction:
            return [self.paths.current(table, int(name[len("part-") : -len(".parquet")])) for *_, name in names]
        return [FileSystems.join(self.paths.output, *name) for name in names]


class Recovered(NamedTuple):
    """What was found of runs that were cut off: those that were finished, and those that were removed."""

    finished: list[str]
    removed: list[str]


def committed_runs(output: str) -> Iterator[Run]:
    """Yields the runs of an output in the order of their names, which begin with the time; one JSON is held at a time.

    Raises:
      MediaError: the output cannot be read.
    """
    for run_id, uri, holder in _committed(output):
        yield Run(RunPaths(output, run_id), read_summary(uri), holder)


def runs_with_files(output: str) -> Iterator[Run]:
    """Yields the runs whose rows are in files of their own, in the order of `committed_runs`.

    The JSONs of runs whose rows a compaction holds are not read: an output may have thousands of them.

    Raises:
      MediaError: the output cannot be read.
    """
    for run_id, uri, holder in _committed(output):
        if holder is None:
            yield Run(RunPaths(output, run_id), read_summary(uri))


def _committed(output: str) -> Iterator[tuple[str, str, str | None]]:
    """Yields each run's name, the URI of its JSON, and the compaction that holds its rows."""
    _require_no_links(output)
    uris = {name_of(uri): uri for uri in storage.find_files(output, "runs/*.json")}
    compactions = {run_id: read_summary(uri) for run_id, uri in uris.items() if COMPACTION in run_id}
    lists = {run_id: doc.compacted for run_id, doc in compactions.items() if isinstance(doc, CompactionDocument)}
    gone = {run_id for compacted in lists.values() for run_id in compacted}  # among them compactions of compactions
    into = {run_id: holder for holder, compacted in lists.items() if holder not in gone for run_id in compacted}
    yield from ((run_id, uri, into.get(run_id)) for run_id, uri in uris.items())


def _require_no_links(output: str) -> None:
    """Raises StorageError where a folder of a local output is a link: a search would leave the output."""
    path = storage.local_path(output)
    if path is not None:
        with storage.storage_errors(output):
            for folder in ("runs", *TABLES):
                plain_files.names_in(f"{path}/{folder}")


def read_summary(uri: str) -> CommittedDocument:
    """Returns the document of a run.

    Raises:
      MediaError: it cannot be read, is damaged or of another schema version, or says what no run writes.
    """
    return committed_document(uri, name_of(uri), read_document(uri))


def name_of(uri: str) -> str:
    """Returns the name of the run whose JSON is at `uri`."""
    return uri.rsplit("/", 1)[-1].removesuffix(".json")


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
        return read_summary(paths.marker) if _exists(paths.marker) else None
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


def read_run(paths: RunPaths) -> RunDocument | None:
    """Returns the document of a run that labeled; None where there is none. Raises MediaError, as `read_summary`."""
    found = read_summary(paths.marker) if _exists(paths.marker) else None
    return found if isinstance(found, RunDocument) else None


def read_decision(paths: RunPaths) -> CommitRecord | None:
    """Returns the decision about a run; None where there is none.

    Raises:
      MediaError: it cannot be read, is damaged, or names what no run writes.
    """
    if not _exists(paths.decision):
        return None
    return CommitRecord.from_json(paths.decision, paths.run_id, read_document(paths.decision))


def read_refusal(paths: RunPaths) -> RejectedRun | None:
    """Returns the document of a rejected run; None where there is none. Raises MediaError, as `read_summary`."""
    return rejected_run(paths.refusal, read_document(paths.refusal)) if _exists(paths.refusal) else None


def _exists(path: str) -> bool:
    with storage.storage_errors(path):
        return FileSystems.exists(path)


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
        except BeamIOError:  # some stores mind what is gone already
            if left := [uri for uri in uris if FileSystems.exists(uri)]:
                storage.delete_files(left)
