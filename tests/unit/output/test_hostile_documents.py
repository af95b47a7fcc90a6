"""Documents of an output that are hostile by their size, or that name missing documents."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import output_factory as factory
import pytest
from output_factory import Video

from reelbeam.pipeline.cli import main
from reelbeam.transforms.errors import ConfigError, StorageError
from reelbeam.transforms.output import documents
from reelbeam.transforms.output.run_document import committed_document
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.output.runs import Run
from reelbeam.transforms.output.sql.views import create_views

RUNS = ("20260101T000000Z-000001", "20260102T000000Z-000002")


@pytest.fixture
def output(tmp_path: pathlib.Path) -> pathlib.Path:
    for number in (1, 2):
        factory.commit_run(tmp_path / "out", number, [Video("a.mp4"), Video("b.mp4", None)])
    return tmp_path / "out"


def test_verify_names_the_documents_that_a_compaction_misses(
    output: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compact", str(output)]) == 0
    for name in RUNS:
        (output / f"runs/{name}.json").unlink()
    (document,) = (output / "runs").iterdir()
    capsys.readouterr()
    assert main(["verify", str(output), "--json"]) == 4
    out, err = capsys.readouterr()
    faults = {fault["path"]: fault["message"] for fault in json.loads(out)["faults"]}
    assert err == "" and faults.pop(str(document)) == (
        f"lists 2 runs without a document: restore runs/{RUNS[0]}.json from a copy"
    )
    assert set(faults.values()) == {f"has rows of runs that it should not hold: {', '.join(RUNS)}"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output_activation": 5}, "output_activation is 5, which no run writes"),
        ({"schema_version": 1 << 50}, f"has schema version {1 << 50}: it was written by a newer release"),
        ({"schema_version": 1 << 60}, f"schema_version is {1 << 60}, which no run writes"),
        ({"labeled_at": [[[[[[[[[]]]]]]]]]}, "labeled_at is [[[[[[[...]]]]]]], which no run writes"),
        ({"model": {"\x1b": "é"}}, r"model is {'\x1b': '\xe9'}, which no run writes"),
    ],
)
def test_a_wrong_value_of_a_run_document_is_reported_in_one_line(
    change: dict[str, Any], message: str, output: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = output / f"runs/{RUNS[1]}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert main(["status", str(output)]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"reelbeam: {path}") and message in err and err.count("\n") == 1, err


@pytest.mark.parametrize("change", [{"precision": "\ud800"}, {"configuration": {"x": [{"\udfff": 1}]}}])
def test_a_document_with_text_that_is_not_unicode_is_refused(
    change: dict[str, Any], output: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = output / f"runs/{RUNS[1]}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert main(["status", str(output)]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"reelbeam: {path} is not JSON") and err.count("\n") == 1, err


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([{}] * 1_000_000, "[{}, {}, {}, {}, {}, {}, ...]"),
        (dict.fromkeys("fedcba", 0), "{'b': 0, 'c': 0, 'd': 0, 'e': 0, ...}"),  # "a" is not reached
        ("x" * 50_000_000, "'" + "x" * 99 + "…"),
        ([["y" * 90] * 9] * 9, "[['" + "y" * 90 + "', '" + "yyy" + "…"),
    ],
)
def test_only_the_beginning_of_a_wrong_value_is_shown(value: object, shown: str) -> None:
    assert f"errors is {shown}, which no run writes" in str(documents.wrong_value("u", "errors", value))


def test_a_document_of_more_than_16_mib_is_refused_before_it_is_parsed(output: pathlib.Path) -> None:
    path = output / f"runs/{RUNS[1]}.json"
    path.write_bytes(b'{"errors": [' + b"{}," * (6 << 20))
    with pytest.raises(StorageError, match="has more than 16777216 bytes"):
        documents.read_document(str(path))


def test_the_files_of_a_run_are_listed_without_opening_each(
    output: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads((output / f"runs/{RUNS[0]}.json").read_text())
    names = [f"/else/videos/run={RUNS[0]}/part-{number:05d}.parquet" for number in range(200_000)]
    document["files"]["videos"] = names
    run = Run(RunPaths(str(output), RUNS[0]), committed_document("", RUNS[0], document))
    monkeypatch.setattr("apache_beam.io.filesystems.FileSystems.join", None)  # what it looks with, for each name
    found = run.files("videos")
    assert len(found) == 200_000 and found[-1] == f"{output}/videos/run={RUNS[0]}/part-199999.parquet"
    assert len(json.dumps(document)) < documents.MAX_BYTES


@pytest.mark.parametrize("dialect", ["duckdb", "spark", "bigquery"])
@pytest.mark.parametrize("character", ["\x1b", "\n", "\x07", "\x7f", "\x9b"])
def test_no_view_is_printed_of_a_path_that_controls_a_terminal(dialect: Any, character: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create_views(f"gs://bucket/a{character}b", dialect, 0.5)
    assert str(caught.value).startswith(f"{f'gs://bucket/a{character}b'!a} contains the control character")
    assert str(caught.value).isprintable()
