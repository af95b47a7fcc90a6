"""The run document: it is read back as written, and content that no run of this version writes is refused."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import jsonschema
import ledger_factory
import output_factory as factory
import pytest
from hostile_documents import snapshot
from output_factory import Video

from reelbeam.pipeline.cli import main
from reelbeam.transforms.errors import StorageError
from reelbeam.transforms.output.run_counts import Counts, RunCost
from reelbeam.transforms.output.run_document import (
    CompactionDocument,
    RejectedRun,
    Rejection,
    RunDocument,
    committed_document,
    rejected_run,
)
from reelbeam.transforms.schemas import SCHEMA_VERSION
from reelbeam.transforms.typed_json import json_object
from tools import make_run_schema

RUN = ledger_factory.summary_of(pathlib.Path("/o"), "r1", [], configuration={"top_k": 5, "inputs": ["a"]})
COMPACTION = "20260104T000000Z-compact-00000a"


@pytest.fixture
def committed(tmp_path: pathlib.Path) -> dict[str, dict[str, Any]]:
    """The documents of an output with two runs and a compaction of them, by the names of their files."""
    for number in (1, 2):
        factory.commit_run(tmp_path, number, [Video("a.mp4"), Video("b.mp4", None)], skipped={"already_labeled": 2})
    assert main(["compact", str(tmp_path)]) == 0
    return {path.stem: json.loads(path.read_text()) for path in sorted(tmp_path.glob("runs/*.json"))}


def test_what_is_written_is_read_back_the_same(committed: dict[str, dict[str, Any]]) -> None:
    kinds = []
    for name, document in committed.items():
        found = committed_document("u", name, document)
        assert json.loads(json.dumps(json_object(found))) == document
        kinds.append(type(found))
    assert kinds == [RunDocument, RunDocument, CompactionDocument]
    rejected = RejectedRun(**vars(RUN), rejection=Rejection("too_many_failures", "9 of 9"))
    assert rejected_run("u", json_object(rejected)) == rejected


def test_the_published_schema_is_that_of_the_dataclasses() -> None:
    text = make_run_schema.SCHEMA.read_text("utf-8")
    assert text == make_run_schema.schema_text(), "run `python -m tools.make_run_schema`"
    fields = json.loads(text)["$defs"]["RunDocument"]["properties"]
    assert fields["selected"]["description"].startswith("the numbers of inputs by reason")
    assert fields["versions"]["description"] == "the versions of the packages that labeled."


def test_committed_documents_are_valid_by_the_published_schema(committed: dict[str, dict[str, Any]]) -> None:
    schema = json.loads(make_run_schema.SCHEMA.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert len(committed) == 3
    for document in committed.values():
        jsonschema.validate(document, schema)
        wrong_parts: list[dict[str, object]] = [{"schema_version": "4"}, {"files": {"videos": "x"}}, {"counts": {}}]
        for wrong in wrong_parts:
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(document | wrong, schema)


REQUIRED = [
    field.name
    for field in dataclasses.fields(RunDocument)
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
]


@pytest.mark.parametrize("name", REQUIRED)
def test_a_document_that_lacks_a_field_is_refused_by_the_name_of_the_field(name: str) -> None:
    document = json_object(RUN)
    del document[name]
    with pytest.raises(StorageError, match=f"^/o/runs/r1.json: {name} is missing, which each run writes: restore it"):
        committed_document("/o/runs/r1.json", "r1", document)


WRONG: list[tuple[str, Any, str]] = [
    ("run_id", "r2", "run_id is 'r2'"),
    ("run_id", "../r1", "run_id is '../r1'"),
    ("started_at", "yesterday", "started_at is 'yesterday'"),
    ("started_at", "2026-01-01T00:00:00", "started_at is"),
    ("labeled_at", 5, "labeled_at is 5"),
    ("model", None, "model is None"),
    ("precision", ["float32"], "precision is"),
    ("counts", [], r"counts is \[\]"),
    ("counts", {**vars(RUN.counts), "videos": -1}, "counts.videos is -1"),
    ("counts", {**vars(RUN.counts), "clips": True}, "counts.clips is True"),
    ("counts", {**vars(RUN.counts), "ok": 1.0}, r"counts.ok is 1\.0"),
    ("counts", {**vars(RUN.counts), "ok": 1 << 53}, "counts.ok is 9007199254740992"),
    ("errors", [{"code": "x"}], "errors.count is missing"),
    ("labels", [{"label": 1, "videos": 1}], "labels.label is 1"),
    ("selected", {"new": "many"}, "selected.new is 'many'"),
    ("ignored", {".txt": None}, "ignored..txt is None"),
    ("cost", {"decode_cpu_seconds": -0.1}, r"cost\.decode_cpu_seconds is -0\.1"),
    ("cost", {"model_cpu_seconds": "9"}, r"cost\.model_cpu_seconds is '9'"),
    ("cost", {"model_cpu_seconds": float("inf")}, r"cost\.model_cpu_seconds is inf"),
    ("cost", {"bytes_fetched": 1.5}, r"cost\.bytes_fetched is 1\.5"),
    ("cost", [], r"cost is \[\]"),
    ("configuration", "x", "configuration is 'x'"),
    ("files", {"videos": ["/o/clips/run=r1/part-00000.parquet"]}, "files.videos is '"),
    ("files", {"videos": ["/o/videos/run=r2/part-00000.parquet"]}, "files.videos is '"),
    ("schema_version", None, "schema_version is None"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_a_value_that_no_run_writes_is_refused_by_its_name(name: str, value: Any, message: str) -> None:
    with pytest.raises(StorageError, match=f"^u: {message}"):
        committed_document("u", "r1", json_object(RUN) | {name: value})


def test_keys_of_a_later_release_are_ignored() -> None:
    assert committed_document("u", "r1", json_object(RUN) | {"later": [1]}) == RUN


def test_counts_of_parts_add_up() -> None:
    one = Counts(5, 3, 3, 0, 0, 9, 0, 9000, 3, 0, 9, 2)
    assert Counts.total([one, one]) == Counts(10, 6, 6, 0, 0, 18, 0, 18000, 6, 0, 18, 4)


def test_costs_of_parts_add_up() -> None:
    assert RunCost.total([RunCost(0.1, 2.0, 3), RunCost(0.2, 0.5, 4), RunCost()]) == RunCost(0.3, 2.5, 7)
    assert RunCost.total([]) == RunCost(0.0, 0.0, 0)


def test_a_document_without_a_cost_is_read_and_one_with_a_cost_keeps_it() -> None:
    assert RUN.cost is None and "cost" not in json_object(RUN)
    assert committed_document("u", "r1", json_object(RUN)) == RUN
    measured = dataclasses.replace(RUN, cost=RunCost(1.25, 0.5, 7))
    document = json_object(measured)
    assert document["cost"] == {"decode_cpu_seconds": 1.25, "model_cpu_seconds": 0.5, "bytes_fetched": 7}
    assert committed_document("u", "r1", document) == measured


REMEDY = "Pass another --output, or use the release that wrote it"


@pytest.mark.parametrize(("version", "age"), [(SCHEMA_VERSION - 1, "an older"), (SCHEMA_VERSION + 1, "a newer")])
@pytest.mark.parametrize("command", ["label", "plan", "status", "report", "diff", "sql", "compact", "verify"])
def test_an_output_of_another_schema_version_is_refused_in_one_line_that_names_both(
    command: str, version: int, age: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = factory.commit_run(tmp_path / "out", 1, [Video("a.mp4")])
    path = tmp_path / f"out/runs/{run_id}.json"
    document = {"run_id": run_id, "schema_version": version, "taken_up": {"new": 1}}  # of another shape, too
    path.write_text(json.dumps(document))
    (tmp_path / "a.mp4").touch()
    before = snapshot(tmp_path / "out")
    arguments = {
        "label": [str(tmp_path / "a.mp4"), "--model=demo", "--output", str(tmp_path / "out")],
        "plan": [str(tmp_path / "a.mp4"), "--model=demo", "--output", str(tmp_path / "out")],
        "diff": [str(tmp_path / "out"), run_id, run_id],
    }
    code = main([command, *arguments.get(command, [str(tmp_path / "out")])])
    out, err = capsys.readouterr()
    line = (
        f"{path}{':' if command == 'verify' else ''} has schema version {version}: it was written by {age} release of "
        f"Reelbeam, and this one reads version {SCHEMA_VERSION} only. {REMEDY}\n"
    )
    if command == "verify":
        assert (code, out) == (4, line)
    elif command in ("label", "plan"):
        assert (code, err) == (2, f"reelbeam: --output {tmp_path / 'out'} cannot be read: {line}")
    else:
        assert (code, err) == (1, f"reelbeam: {line}")
    assert snapshot(tmp_path / "out") == before
