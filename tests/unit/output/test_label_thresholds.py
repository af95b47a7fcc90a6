"""Files of thresholds: what passes, what is refused, and the views that apply them, with hostile labels."""

from __future__ import annotations

import json
import pathlib

import duckdb
import pytest
import report_factory as factory
import sqlglot

from reelbeam.pipeline.cli import main
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.output.label_thresholds import read_thresholds, write_thresholds
from reelbeam.transforms.output.sql.dialects import Dialect
from reelbeam.transforms.output.sql.views import create_views
from reelbeam.transforms.records.thresholds import LabelThresholds

HOSTILE = (
    "it's",
    "'; DROP VIEW current_videos; --",
    "\\",
    "\\'",
    'a "quoted" `name`',
    "${env:HOME}",
    "$$",
    "%s {0} {table}",
    "/* x */ -- y",
    "\u2028\u202e \ufeffé",
    "😀",
    "NULL",
)


def test_what_passes() -> None:
    found = LabelThresholds(1, 0.5, {"never": 1, "always": 0, "own": 0.9})
    scores = {"never": 1.0, "always": 0.0, "own": 0.9, "other": 0.5}
    assert {label: found.passes(label, score) for label, score in scores.items()} == {
        "never": False,
        "always": True,
        "own": True,
        "other": True,
    }
    assert not found.passes("own", 0.89) and not found.passes("other", 0.49)
    assert not LabelThresholds(1, 1).passes("a", 1.0)


def test_a_file_is_read_as_it_was_written(tmp_path: pathlib.Path) -> None:
    given = LabelThresholds(1, 0.62, dict.fromkeys(HOSTILE, 0.25), "max", 0.9, ("a0-base",))
    place = write_thresholds(str(tmp_path / "t.json"), given)
    assert read_thresholds(place) == given
    short = tmp_path / "short.json"
    short.write_text('{"format_version": 1, "default": 1}', "utf-8")
    assert read_thresholds(str(short)) == LabelThresholds(1, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[]", r"the document is \[\]: write an object"),
        ("{}", "format_version is missing: write format_version, default and labels"),
        ('{"format_version": 1}', "default is missing"),
        ('{"format_version": 2, "default": 0}', "format_version is 2: this release reads version 1"),
        ('{"format_version": 1, "default": 1.5}', "default is 1.5: write a score, 0 to 1"),
        ('{"format_version": 1, "default": -1}', "default is -1"),
        ('{"format_version": 1, "default": true}', "default is true"),
        ('{"format_version": 1, "default": NaN}', "is not JSON"),
        ('{"format_version": 1, "default": 1e999}', "default is Infinity"),
        ('{"format_version": 1, "default": null}', "default is null"),
        ('{"format_version": 1, "default": 0, "labels": []}', r"labels is \[\]: write an object"),
        ('{"format_version": 1, "default": 0, "labels": {"a": 2}}', "labels.a is 2: write a score"),
        ('{"format_version": 1, "default": 0, "labels": {"a": "0.5"}}', 'labels.a is "0.5"'),
        ('{"format_version": 1, "default": 0, "labels": {" ": 0}}', 'a label is " "'),
        ('{"format_version": 1, "default": 0, "labels": {"a\\u0000b": 0}}', r'a label is "a\\u0000b"'),
        ('{"format_version": 1, "default": 0, "labels": {"a\\nb": 0}}', r'a label is "a\\nb"'),
        ('{"format_version": 1, "default": 0, "labels": {"\\ud800": 0}}', r'a label is "\\ud800"'),
        ('{"format_version": 1, "default": 0, "ranking": "median"}', 'ranking is "median": write mean or max'),
        ('{"format_version": 1, "default": 0, "models": "a0"}', 'models is "a0": write a list of names of models'),
        ('{"format_version": 1, "default": 0, "models": [1]}', "models is 1: write a list of names of models"),
        ('{"format_version": 1, "default": 0, "precision": "high"}', 'precision is "high": write a score'),
        ('{"format_version": 1, "default": 0, "lables": {"a": 1}}', 'has the field "lables": write labels'),
    ],
)
def test_wrong_files_are_refused(tmp_path: pathlib.Path, text: str, message: str) -> None:
    place = tmp_path / "t.json"
    place.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=message):
        read_thresholds(str(place))


def test_what_is_not_a_file_is_refused(tmp_path: pathlib.Path) -> None:
    for place in (tmp_path, tmp_path / "no.json"):
        with pytest.raises(ConfigError, match="--thresholds"):
            read_thresholds(str(place))


@pytest.fixture
def output(tmp_path: pathlib.Path) -> pathlib.Path:
    """A video for each hostile label with scores 0.6, 0.3; a failed one; one without labels; one with a score of 1."""
    clips = [factory.clip(f"/v/{number}.mp4", 0, (label, 0.6), ("other", 0.3)) for number, label in enumerate(HOSTILE)]
    videos = [
        factory.video(row["video_uri"], [row], labels=[each | {"max_score": each["score"]} for each in row["labels"]])
        for row in clips
    ]
    sure = factory.clip("/v/sure.mp4", 0, ("sure", 1.0))
    nothing = factory.clip("/v/nothing.mp4", 0)
    videos += [
        factory.video("/v/sure.mp4", [sure], labels=[{"label": "sure", "class_id": 3, "score": 1.0, "max_score": 1.0}]),
        factory.video("/v/nothing.mp4", [nothing], labels=[]),
        factory.video("/v/failed.mp4", [], labels=[]),
    ]
    factory.commit_run(tmp_path / "out", 1, [*clips, sure, nothing], videos)
    return tmp_path / "out"


def database(output: pathlib.Path, found: LabelThresholds) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(create_views(str(output), "duckdb", 0.5, thresholds=found))
    return connection


@pytest.mark.parametrize("label", HOSTILE)
def test_one_label_is_denied_in_duckdb(output: pathlib.Path, label: str) -> None:
    views = database(output, LabelThresholds(1, 0.5, {label: 1}))
    passed = {row[0] for row in views.execute("SELECT label FROM passed_labels").fetchall()}
    assert passed == {*HOSTILE, "sure"} - {label}
    assert {row[0] for row in views.execute("SELECT label FROM label_timeline").fetchall()} == passed
    denied = f"/v/{HOSTILE.index(label)}.mp4"
    answers = dict(views.execute("SELECT video_uri, answer FROM video_answers").fetchall())
    assert answers.pop("/v/failed.mp4") == "failed"
    assert {uri for uri, answer in answers.items() if answer == "nothing recognized"} == {denied, "/v/nothing.mp4"}
    assert len(answers) == len(HOSTILE) + 2


@pytest.mark.parametrize("label", HOSTILE)
def test_one_label_is_allowed_in_duckdb(output: pathlib.Path, label: str) -> None:
    views = database(output, LabelThresholds(1, 1, {label: 0}))
    assert views.execute("SELECT label, label_rank FROM passed_labels").fetchall() == [(label, 1)]
    assert views.execute("SELECT label, threshold FROM label_thresholds ORDER BY 2").fetchall() == [
        (label, 0.0),
        (None, 1.0),
    ]


def test_the_best_label_that_passes_is_the_answer(output: pathlib.Path) -> None:
    views = database(output, LabelThresholds(1, 0.25, dict.fromkeys(HOSTILE, 1)))
    found = views.execute("SELECT DISTINCT label, label_rank FROM video_answers WHERE label IS NOT NULL").fetchall()
    assert sorted(found) == [("other", 2), ("sure", 1)]


@pytest.mark.parametrize("dialect", ["duckdb", "spark", "bigquery"])
def test_each_dialect_keeps_the_labels(dialect: Dialect) -> None:
    thresholds = LabelThresholds(1, 0.5, dict.fromkeys(HOSTILE, 0.25))
    script = create_views("gs://bucket/out", dialect, 0.5, "my-project.labels", thresholds)
    statements = [each for each in sqlglot.parse(script, dialect) if each is not None]
    assert len(statements) == 11 and {type(each).__name__ for each in statements} == {"Create"}
    (view,) = (each for each in statements if each.this.name == "label_thresholds")
    literals = {each.this for each in view.find_all(sqlglot.exp.Literal) if each.is_string}
    assert {text.replace("\\u0024", "$") for text in literals} == set(HOSTILE)
    assert dialect != "spark" or "${" not in script


def test_the_command_reads_the_file(
    output: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "t.json"
    place.write_text(json.dumps({"format_version": 1, "default": 0.5}), "utf-8")
    assert main(["sql", str(output), "--thresholds", str(place)]) == 0
    assert "video_answers" in capsys.readouterr().out
    assert main(["sql", str(output)]) == 0
    assert "video_answers" not in capsys.readouterr().out
    assert main(["sql", str(output), "--thresholds", str(tmp_path / "no.json")]) == 2
