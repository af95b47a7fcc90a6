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

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from reelbeam.transforms import storage
from reelbeam.transforms.errors import StorageError
from reelbeam.transforms.output.run_files import (
    RunPaths,
    WrittenFile,
    make_folder,
    move_file,
    to_json,
    write_atomically,
)
from reelbeam.transforms.schemas import TABLES
from reelbeam.transforms.storage import plain_files
from reelbeam.transforms.storage.documents import check_decision, check_refusal, check_run, read_document

_STAGED_RUN = re.compile(r"/\.staging/run=([^/]+)")
_FACTS_OF_ALL = {"run_id", "counts", "errors", "files", "started_at", "finished_at"}
_FACTS = _FACTS_OF_ALL | {"model"}
_COUNTS_OF_ALL = {"videos", "clips"}
_COUNTS = _COUNTS_OF_ALL | {"inputs", "ok", "partial", "failed", "skipped", "video_clips", "video_ms"}
"""What is in the JSON of every run and among its counts, and of those that are not compactions."""
_REMEDY = "restore it from a copy, or remove it and the folders run=… of its run, whose videos are then labeled again"

COMPACTION = "-compact-"
"""What the names of compactions have in them, and those of other runs have not."""


class Run(NamedTuple):
    """A committed run: where its files are, and its JSON.

    Attributes:
      paths: where its files are, or were.
      summary: its JSON.
      compacted_into: the compaction that holds its rows now; None where its own files do.
    """

    paths: RunPaths
    summary: dict[str, Any]
    compacted_into: str | None = None

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.paths.run_id

    @property
    def is_compaction(self) -> bool:
        """Whether it labeled nothing, but holds rows of others."""
        return "compacted" in self.summary

    def files(self, table: str) -> list[str]:
        """Returns the paths of the run's own files of a table; none where a compaction holds its rows.

        By their names below the output, since the output may have been moved or mounted elsewhere since.
        """
        if self.compacted_into is not None:
            return []
        names = [path.split("/")[-3:] for path in self.summary["files"].get(table, ())]
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
    lists = {run_id: read_summary(uri).get("compacted", ()) for run_id, uri in uris.items() if COMPACTION in run_id}
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


def read_summary(uri: str) -> dict[str, Any]:
    """Returns what the JSON of a run says.

    Raises:
      MediaError: it cannot be read, is damaged, or says what no run writes.
    """
    found = read_document(uri)
    check_run(uri, name_of(uri), found)
    return found


def check_summary(uri: str, summary: dict[str, Any]) -> None:
    """Raises StorageError where a run's JSON lacks what `status` and its like tell of a run."""
    is_compaction = "compacted" in summary
    facts, counts = (_FACTS_OF_ALL, _COUNTS_OF_ALL) if is_compaction else (_FACTS, _COUNTS)
    if not (summary.keys() >= facts and counts <= set(summary["counts"])):
        raise StorageError(f"{uri} is not the JSON of a run: {_REMEDY}")


def name_of(uri: str) -> str:
    """Returns the name of the run whose JSON is at `uri`."""
    return uri.rsplit("/", 1)[-1].removesuffix(".json")


def record_decision(
    paths: RunPaths, summary: Mapping[str, Any], files: Sequence[WrittenFile], replaced: Sequence[str] = ()
) -> None:
    """Writes the decision: from now on the run will be committed. Everything must have been checked before.

    Args:
      paths, summary, files: of the run.
      replaced: what a compaction removes: files, by their paths below the output.
    """
    # Videos last: they are what readers start from, should the moving be cut off.
    moves = sorted(files, key=lambda file: (file.table == "videos", file))
    decision = {"summary": summary, "moves": [[file.table, file.shard] for file in moves], "replaced": list(replaced)}
    write_atomically(paths.decision, lambda sink: sink.write(to_json(decision)))


def finish(paths: RunPaths) -> dict[str, Any] | None:
    """Takes a decided run to its end, wherever it was cut off.

    Returns:
      the run's JSON; None where the run is not decided.
    """
    decision = read_decision(paths)
    if decision is None:
        return read_json(paths.marker)
    replaced = decision.get("replaced", ())
    if replaced:
        _mark(paths, decision["summary"])
        _delete([FileSystems.join(paths.output, name) for name in replaced])
    for table, shard in decision["moves"]:
        _move(paths.staged(table, shard), paths.final(table, shard))
    if not replaced:
        _mark(paths, decision["summary"])
    storage.delete_folder(paths.staging)
    return decision["summary"]


def decided_runs(output: str) -> dict[str, dict[str, Any]]:
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
    if decision is None or decision.get("replaced"):
        return False
    places = [(paths.staged(table, shard), paths.final(table, shard)) for table, shard in decision["moves"]]
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


def read_json(path: str) -> dict[str, Any] | None:
    """Returns what stands in the JSON of a run; None where there is none. Raises MediaError, as `read_summary`."""
    return read_summary(path) if _exists(path) else None


def read_decision(paths: RunPaths) -> dict[str, Any] | None:
    """Returns the decision about a run; None where there is none.

    Raises:
      MediaError: it cannot be read, is damaged, or names what no run writes.
    """
    if not _exists(paths.decision):
        return None
    found = read_document(paths.decision)
    check_decision(paths.decision, paths.run_id, found)
    return found


def read_refusal(paths: RunPaths) -> dict[str, Any] | None:
    """Returns the summary of a refused run; None where there is none. Raises MediaError, as `read_summary`."""
    if not _exists(paths.refusal):
        return None
    found = read_document(paths.refusal)
    check_refusal(paths.refusal, found)
    return found


def _exists(path: str) -> bool:
    with storage.storage_errors(path):
        return FileSystems.exists(path)


def _move(staged: str, final: str) -> None:
    """Moves a file; a commit that is repeated after it was cut off finds some moved already."""
    if not FileSystems.exists(staged) and FileSystems.exists(final):
        return
    make_folder(FileSystems.split(final)[0])
    move_file(staged, final)


def _mark(paths: RunPaths, summary: Mapping[str, Any]) -> None:
    write_atomically(paths.marker, lambda sink: sink.write(to_json(summary)), draft_folder=paths.staging)


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
