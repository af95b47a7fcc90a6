"""The runs of an output: how one is committed, which ones are, and what becomes of one that was cut off.

A commit is four steps: the **decision** (one small file, written whole or not at all: it holds the run's JSON to be and
names every file), the moves of the files to their places, `runs/RUN_ID.json`, and the removal of the staging folder.
Three tables cannot be moved at one stroke, so a commit can be cut off with some files in place and others not. That is
why there is a decision: a run that was cut off before it never happened, and its staging folder is removed; one that
was cut off after it *is* decided, checked and whole, and whoever comes next finishes it. So whatever a plain glob sees
belongs to a run that counts, now or after the next start; and a reader who starts from `runs/*.json` sees whole runs
only. Every step can be repeated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from apache_beam.io.filesystems import FileSystems

from transforms import storage
from transforms.run_files import RunPaths, WrittenFile, make_folder, to_json, write_atomically

_STAGED_RUN = re.compile(r"/\.staging/run=([^/]+)")


class Run(NamedTuple):
    """A committed run: where its files are, and its JSON."""

    paths: RunPaths
    summary: dict[str, Any]

    def files(self, table: str) -> list[str]:
        """Returns the paths of the run's files of a table.

        By their names below the output, since the output may have been moved or mounted elsewhere since.
        """
        names = (path.split("/")[-3:] for path in self.summary["files"].get(table, ()))
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
    for uri in storage.find_files(output, "runs/*.json"):
        with storage.storage_errors(uri), storage.open_binary(uri) as file:
            summary = json.load(file)
        yield Run(RunPaths(output, uri.rsplit("/", 1)[-1].removesuffix(".json")), summary)


def record_decision(paths: RunPaths, summary: Mapping[str, Any], files: Sequence[WrittenFile]) -> None:
    """Writes the decision: from now on the run will be committed. Everything must have been checked before."""
    # Videos last: they are what readers start from, should the moving be cut off.
    moves = sorted(files, key=lambda file: (file.table == "videos", file))
    decision = {"summary": summary, "moves": [[file.table, file.shard] for file in moves]}
    write_atomically(paths.decision, lambda sink: sink.write(to_json(decision)))


def finish(paths: RunPaths) -> dict[str, Any] | None:
    """Takes a decided run to its end, wherever it was cut off.

    Returns:
      the run's JSON; None where the run is not decided.
    """
    decision = read_json(paths.decision)
    if decision is None:
        return read_json(paths.marker)
    for table, shard in decision["moves"]:
        _move(paths.staged(table, shard), paths.final(table, shard))
    write_atomically(paths.marker, lambda sink: sink.write(to_json(decision["summary"])), draft_folder=paths.staging)
    storage.delete_folder(paths.staging)
    return decision["summary"]


def recover(output: str) -> Recovered:
    """Finishes the runs that were decided and removes what the others left. Only for who holds the output's lock."""
    recovered = Recovered([], [])
    for run_id in staged_runs(output):
        paths = RunPaths(output, run_id)
        if finish(paths) is None:
            recovered.removed.append(run_id)
        else:
            recovered.finished.append(run_id)
        storage.delete_folder(paths.staging)
    return recovered


def staged_runs(output: str) -> list[str]:
    """Returns the runs that have something in the staging folder: running, cut off or refused."""
    found = (_STAGED_RUN.search(uri) for uri in storage.find_files(output, ".staging/run=*/**"))
    return sorted({match[1] for match in found if match})


def read_json(path: str) -> dict[str, Any] | None:
    """Returns what stands in a JSON file; None where there is none."""
    if not FileSystems.exists(path):
        return None
    with storage.open_binary(path) as file:
        return json.load(file)


def _move(staged: str, final: str) -> None:
    """Moves a file; a commit that is repeated after it was cut off finds some moved already."""
    if not FileSystems.exists(staged) and FileSystems.exists(final):
        return
    make_folder(FileSystems.split(final)[0])
    FileSystems.rename([staged], [final])
