"""Parquet files with content that no run writes: each command reports the file in one line."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reelbeam.pipeline.cli import main

COMMANDS = ("status", "report", "diff", "plan", "compact", "verify", "sql")
EXIT_CODES = {"plan": 2, "verify": 4}
"""Those of the commands that do not end with 1: the output is a flag of `plan`."""
ALL_READ, ROWS = {"status", "report", "diff", "plan"}, {"status", "report", "plan"}


class Made(NamedTuple):
    """An output with two runs, whose only input is a file that is not a video."""

    folder: pathlib.Path
    runs: list[str]

    def file(self, table: str) -> pathlib.Path:
        """Returns the only file of a table of the second run."""
        return self.folder / f"out/{table}/run={self.runs[1]}/part-00000.parquet"

    def run(self, command: str, *more: str) -> int:
        """Runs a command on the output; returns its exit code."""
        output = str(self.folder / "out")
        inputs = [str(self.folder / "broken.mp4"), "--model=demo", "--output", output]
        arguments = {"label": [*inputs, "--max_failure_ratio=1"], "plan": inputs, "diff": [output, *self.runs]}
        return main([command, *arguments.get(command, [output]), *more])


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("tables")
    (folder / "broken.mp4").write_text("not a video")
    made = Made(folder, [])
    assert made.run("label") == 0 and made.run("label", "--force") == 0
    made.runs.extend(sorted(path.stem for path in (folder / "out/runs").iterdir()))
    shutil.copytree(folder / "out", folder / "saved")
    return made


@pytest.fixture
def made(original: Made) -> Iterator[Made]:
    """The output, which is restored in place: a copy elsewhere would have rows of other paths."""
    yield original
    shutil.rmtree(original.folder / "out")
    shutil.copytree(original.folder / "saved", original.folder / "out")


def change(name: str, values: pa.Array) -> Callable[[pa.Table], pa.Table]:
    """Returns what replaces a column by one of another type, or of values that may be null."""
    return lambda table: table.set_column(table.schema.get_field_index(name), name, values)


def replace(name: str, values: pa.Array) -> Callable[[pa.Table], pa.Table]:
    """Returns what replaces the values of a column, and leaves its type."""
    return lambda table: table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)


def drop(name: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.drop_columns([name])


def times(value: int) -> pa.Array:
    return pa.array([value], pa.timestamp("us", "UTC"))


NOT_UTF8 = pa.Array.from_buffers(
    pa.string(), 1, [None, pa.py_buffer(b"\x00\x00\x00\x00\x02\x00\x00\x00"), pa.py_buffer(b"\xff\xfe")]
)
DAMAGES: dict[str, tuple[str, Callable[[pa.Table], pa.Table], set[str], str]] = {
    "status missing": ("videos", drop("status"), ALL_READ, "column status: missing, must be string not null"),
    "uri_key missing": ("videos", drop("uri_key"), ALL_READ, "column uri_key: missing, must be int64"),
    "run_id missing": ("videos", drop("run_id"), ALL_READ, "column run_id: missing, must be string"),
    "key missing": ("videos", drop("precision"), ALL_READ, "column precision: missing"),
    "code missing": ("errors", drop("code"), {"diff"}, "column code: missing, must be string"),
    "status twice": ("videos", lambda t: t.append_column("status", t["status"]), ALL_READ, "present 2 times"),
    "status a number": ("videos", change("status", pa.array([7])), ALL_READ, "column status: int64, must be"),
    "status null": ("videos", change("status", pa.array([None], pa.string())), ALL_READ, "status: string, must be"),
    "status no UTF-8": ("videos", replace("status", NOT_UTF8), ALL_READ, "Invalid UTF8"),
    "label no UTF-8": ("videos", replace("top_label", NOT_UTF8), {"status", "report", "diff"}, "Invalid UTF8"),
    "code no UTF-8": ("errors", replace("code", NOT_UTF8), {"diff"}, "Invalid UTF8"),
    "uri_key a text": ("videos", change("uri_key", pa.array(["x"])), ALL_READ, "uri_key: string"),
    "uri_key a list": ("videos", change("uri_key", pa.array([[1]])), ALL_READ, "uri_key: list"),
    "time null": ("videos", change("labeled_at", pa.array([None], times(0).type)), ROWS, "column labeled_at"),
    "time too large": ("videos", replace("labeled_at", times(2**63 - 1)), ROWS, "outside the years 1970"),
    "time too small": ("videos", replace("labeled_at", times(-(2**63))), ROWS, "outside the years 1970"),
    "clips a text": ("videos", change("num_clips", pa.array(["1"])), {"status", "report"}, "column num_clips: string"),
    "no columns": ("videos", lambda t: t.select([]), ALL_READ, "missing"),
}
"""Name -> table, what changes it, the commands that read what is changed, and what they report."""


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", DAMAGES)
def test_a_table_that_no_run_writes_is_reported_in_one_line(
    name: str, command: str, made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    table, damage, readers, message = DAMAGES[name]
    path = made.file(table)
    pq.write_table(damage(pq.read_table(path, partitioning=None)), path)
    code = made.run(command)
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    if command == "verify":
        assert code == 4 and str(path) in out.replace("\n", "")
    elif command == "compact":
        assert (code, err.count("\n")) == (1, 1) and err.startswith(f"reelbeam: {path}"), err
    elif command in readers:
        assert (code, err.count("\n")) == (EXIT_CODES.get(command, 1), 1), err
        assert err.startswith(f"reelbeam: {path}") and message in err, err
        assert f"or remove runs/{made.runs[1]}.json and the folders run={made.runs[1]}" in err
    else:
        assert (code, err) == (0, ""), err


def write_foreign_name(path: pathlib.Path) -> None:
    pq.write_table(pq.read_table(path, partitioning=None).append_column("xxxx", pa.array([1])), path)
    path.write_bytes(path.read_bytes().replace(b"xxxx", b"\xff\xfe\xff\xfe"))


@pytest.mark.parametrize("command", ["status", "diff", "plan", "compact", "verify"])
@pytest.mark.parametrize("damage", [write_foreign_name, lambda path: path.write_bytes(b"PAR1" * 9)])
def test_a_file_that_arrow_cannot_open_is_reported_in_one_line(
    damage: Callable[[pathlib.Path], None], command: str, made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(made.file("videos"))
    code = made.run(command)
    out, err = capsys.readouterr()
    if command == "verify":
        assert code == 4 and "cannot be read as Parquet" in out.replace("\n", " ")
    else:
        assert (code, err.count("\n")) == (EXIT_CODES.get(command, 1), 1), err
        assert "cannot be read as Parquet" in err, err


@pytest.mark.parametrize("name", ["status missing", "time too large", "status no UTF-8"])
def test_label_reports_a_table_that_no_run_writes_in_one_sentence(
    name: str, made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    table, damage, _, message = DAMAGES[name]
    path = made.file(table)
    pq.write_table(damage(pq.read_table(path, partitioning=None)), path)
    code = made.run("label")
    out, err = capsys.readouterr()
    assert (code, err) == (1, "")
    printed = "".join(out.split())  # the console wraps lines, also inside of a name
    assert printed.startswith((f"Therunfailed:{path}:", f"Therunfailed:{path}cannotberead"))
    assert message.replace(" ", "") in printed and "andthenextrunlabelsthosevideosagain" in printed
