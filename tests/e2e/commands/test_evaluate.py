"""`reelbeam evaluate` of an output that the demo model labeled."""

from __future__ import annotations

import json
import pathlib
import shutil
from typing import Any

import duckdb
import pytest
from html_tree import parse

from reelbeam.pipeline.cli import main

pytestmark = pytest.mark.slow  # whole runs

TRUTH = """\
video_uri,label,also_acceptable
growing.mp4,growing,
moving_down.mkv,Moving_Down,
moving_left.mp4,moving right,
moving_right.webm,moving right,
moving_up.mp4,moving up,
rotating_clockwise.mp4,rotating clockwise,
rotating_counterclockwise.avi,rotating clockwise,rotating counterclockwise
shrinking.mp4,shrinking;growing,
standing_still.mp4,,
broken.mp4,growing,
nowhere.mp4,growing,
"""
"""The demo model is right about all of its videos. Here two are called wrong, one has no class, and one is broken."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, samples_dir: pathlib.Path) -> pathlib.Path:
    """A folder with an output of two runs with different sampling, and truth.csv. Tests do not change the output."""
    folder = tmp_path_factory.mktemp("evaluate")
    (folder / "truth.csv").write_text(TRUTH, "utf-8")
    shutil.copytree(samples_dir, folder / "in")
    for flags in ([], ["--target_fps=10"]):
        assert main(["label", "--model=demo", str(folder / "in"), "--output", str(folder / "out"), *flags]) == 0
    return folder


def runs_of(folder: pathlib.Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("out/runs/*.json"))


def evaluate(folder: pathlib.Path, *flags: object, truth: str = "truth.csv") -> int:
    """Runs the command; returns its exit code."""
    return main(["evaluate", str(folder / "out"), "--truth", str(folder / truth), *map(str, flags)])


def document(folder: pathlib.Path, capsys: pytest.CaptureFixture[str], *flags: object) -> Any:
    capsys.readouterr()
    assert evaluate(folder, "--json", *flags) == 0
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def test_the_figures_of_a_run(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(folder, capsys, "--run", runs_of(folder)[0])
    videos = found["videos"]
    assert (videos["counts"]["items"], videos["counts"]["with_class"], videos["counts"]["failed"]) == (10, 9, 1)
    top_1, top_5 = videos["accuracy"]["top"]
    assert (top_1["with_failed"]["hits"], top_1["with_failed"]["total"]) == (6, 9)
    assert (top_1["without_failed"]["hits"], top_1["without_failed"]["total"]) == (6, 8)
    assert (top_5["k"], top_5["with_failed"]["hits"]) == (5, 8)
    assert found["truth"]["match"] == "suffix" and found["truth"]["matched"] == 10
    assert found["truth"]["truth_without_video"] == {"count": 1, "examples": ["nowhere.mp4"]}
    assert found["truth"]["renamed_labels"] == {"Moving_Down": "moving down"}
    assert found["has_all_labels"] and found["clips"] is None and found["against"] is None
    growing = next(each for each in videos["per_class"]["classes"] if each["label"] == "growing")
    assert (growing["support"], growing["recall"]["hits"]) == (3, 1)


def test_the_tables_begin_with_the_accuracy(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert evaluate(folder, "--run", runs_of(folder)[0]) == 0
    out = capsys.readouterr().out
    first, second = out.splitlines()[:2]
    assert first == "top-1 0.67 (95 %: 0.35 to 0.88) of 9 videos, top-5 0.89 (95 %: 0.57 to 0.98)"
    counts = "9 videos with a class, 1 with none of the classes, 1 failed"
    assert second == f"{counts}, 1 with a top label that is only acceptable"
    shown = " ".join(out.split())
    for text in (
        "10 videos found in the output by the ends of their paths, 1 not in the output; 0 of the output without truth",
        "not in the output: nowhere.mp4",
        "growing no answer (failed) 1 33 %",
        "calibration: too few videos (",
        "no score can be promised for a precision of 0.9",
        "warning: 10 videos with truth say little",
    ):
        assert text in shown, text


@pytest.mark.parametrize("other", ["run", "output"])
def test_two_samplings_are_compared(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path, other: str
) -> None:
    against = pathlib.Path(runs_of(folder)[0])
    if other == "output":  # of the same videos in another place
        against = tmp_path / "other"
        assert main(["label", "--model=demo", str(folder / "in"), "--output", str(against)]) == 0
    found = document(folder, capsys, "--against", against)
    comparison = found["videos"]["comparison"]
    assert comparison["items"] == 9 and comparison["only_in_a"] == comparison["only_in_b"] == 0
    assert [each["k"] for each in comparison["top"]] == [1, 5]
    assert comparison["top"][0]["accuracy_b"] == pytest.approx(6 / 9)
    assert found["evaluated"]["runs"] == [runs_of(folder)[1]]
    capsys.readouterr()
    assert evaluate(folder, "--against", against) == 0
    assert "9 videos with truth in both" in capsys.readouterr().out


def test_outputs_of_copies_are_paired_by_their_names_in_the_truth(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    shutil.copytree(folder / "in", tmp_path / "copies")
    assert main(["label", "--model=demo", str(tmp_path / "copies"), "--output", str(tmp_path / "out")]) == 0
    assert document(folder, capsys, "--against", tmp_path / "out")["videos"]["comparison"]["items"] == 9


def test_unknown_labels_are_an_error_after_the_result(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "typo.csv").write_text(TRUTH.replace("moving up", "movin up"), "utf-8")
    capsys.readouterr()
    assert evaluate(folder, "--json", truth="typo.csv") == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["truth"]["unknown_labels"] == [
        {"label": "movin up", "num_rows": 1, "first_row": 6, "near": found["truth"]["unknown_labels"][0]["near"]}
    ]
    assert found["truth"]["left_out_videos"] == 1 and found["videos"]["counts"]["items"] == 9
    assert "'movin up' (1 row, first in line 6; did you mean 'moving up'" in err
    assert "pass --ignore_unknown_labels" in err
    assert evaluate(folder, "--ignore_unknown_labels", truth="typo.csv") == 0
    out, err = capsys.readouterr()
    assert err == "" and "warning: 1 label of" in out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--match=exact",), "no video of the truth file is in the output with --match exact"),
        (("--precision=0",), "precision 0.0 cannot be promised"),
        (("--precision=1.5",), "--precision"),
        (("--run=1999",), "1999 is not a committed run"),
        (("--against=/no/such",), "--against /no/such is neither a run of"),
        (("--labels=/no/such",), "--labels /no/such: no such file"),
        (("--write_thresholds=a.txt",), "pass a name that ends in .json"),
        (("--write_thresholds=/proc/no/a.json",), "--write_thresholds /proc/no/a.json cannot be written"),
        (("--truth=/no/such.csv",), "--truth /no/such.csv cannot be read: /no/such.csv does not exist"),
        (("--truth=/no/such.txt",), "unknown kind"),
    ],
)
def test_bad_flags_and_files(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], message: str
) -> None:
    capsys.readouterr()
    assert evaluate(folder, *flags) == 2
    out, err = capsys.readouterr()
    assert message in err and out == ""


@pytest.mark.parametrize("command", ["evaluate", "report"])
def test_each_command_reads_the_labels_that_label_takes(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str], command: str, tmp_path: pathlib.Path
) -> None:
    """The bundled names are another model's here: the refusal shows that they were read."""
    page = ("--to", str(tmp_path / "page.html")) if command == "report" else ()
    given = [command, str(folder / "out"), "--truth", str(folder / "truth.csv"), "--labels=kinetics-600", *page]
    capsys.readouterr()
    assert main(given) == 2
    assert "kinetics_600.txt is not the label map of the run" in capsys.readouterr().err


def test_thresholds_decide_the_views(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    place = tmp_path / "thresholds.json"
    assert evaluate(folder, "--precision=0.5", "--write_thresholds", place, "--run", runs_of(folder)[0]) == 0
    assert json.loads(place.read_text("utf-8"))["precision"] == 0.5
    lists = {"format_version": 1, "default": 1, "labels": {"moving up": 0, "growing": 0.2}}
    place.write_text(json.dumps(lists), "utf-8")
    capsys.readouterr()
    assert main(["sql", str(folder / "out"), "--thresholds", str(place)]) == 0
    database = duckdb.connect()
    database.execute(capsys.readouterr().out)
    answers = database.execute("SELECT answer, count(*) FROM video_answers GROUP BY 1 ORDER BY 1").fetchall()
    assert sum(count for _, count in answers) == 10 and ("failed", 1) in answers
    passed = database.execute("SELECT DISTINCT label FROM passed_labels ORDER BY 1").fetchall()
    assert passed == [("growing",), ("moving up",)]


def test_a_report_shows_the_accuracy_and_wrong_clips(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    page = tmp_path / "page.html"
    flags = ["--to", str(page), "--run", runs_of(folder)[0], "--clips=0"]
    assert main(["report", str(folder / "out"), "--truth", str(folder / "truth.csv"), *flags]) == 0
    assert "2 clips of 2 videos" in capsys.readouterr().out, "two right answers are called wrong"
    shown = parse(page.read_text("utf-8"))
    (section,) = (each for each in shown.all("section") if each.attributes.get("id") == "accuracy")
    assert section.one("h2").text == "67 % of the top labels are right"
    assert "moving right" in {each.text for each in section.all("strong")}
    assert len(section.all("img", "strip")) == 2
    assert main(["report", str(folder / "out"), "--truth", "/no/such.csv", *flags]) == 2
