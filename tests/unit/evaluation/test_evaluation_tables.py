"""The tables of `reelbeam evaluate`, with what is missing, hostile or left out, and the settings of the command."""

from __future__ import annotations

import json
import pathlib
import typing

import pytest
import report_factory as factory

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.settings.declaration import settings_of
from reelbeam.pipeline.settings.report_settings import EvaluateSettings
from reelbeam.transforms.evaluation.judging import Ranking
from reelbeam.transforms.evaluation.truth.matching import RUNGS
from reelbeam.transforms.schemas import Row

HOSTILE = "\x1b[31mred\u202e <b>"


def commit(output: pathlib.Path, number: int, *labels: str | None) -> str:
    """Commits a run with a video of two clips for each label; None: it failed. Returns its name."""
    clips: list[Row] = []
    videos: list[Row] = []
    for place, label in enumerate(labels):
        uri = f"/v/{place}.mp4"
        mine = [] if label is None else [factory.clip(uri, index, (label, 0.75), ("b", 0.25)) for index in range(2)]
        stored = [each | {"max_score": each["score"]} for each in (mine[0]["labels"] if mine else [])]
        clips += mine
        videos.append(factory.video(uri, mine, labels=stored))
    return factory.commit_run(output, number, clips, videos)


def evaluate(output: pathlib.Path, truth: str, *flags: str) -> int:
    file = output.parent / "truth.csv"
    file.write_text(truth, "utf-8")
    return main(["evaluate", str(output), "--truth", str(file), *flags])


def test_the_choices_are_those_of_the_code() -> None:
    choices = {each.name: each.choices for each in settings_of(EvaluateSettings)}
    assert choices["match"] == RUNGS
    assert choices["ranking"] == typing.get_args(Ranking)


def test_clips_of_segments_have_tables_of_their_own(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit(tmp_path / "out", 1, "a", "a", None)
    truth = "file,label,start_seconds,end_seconds\n0.mp4,a,0,2\n1.mp4,b,0,4\n2.mp4,a,,\n"
    assert evaluate(tmp_path / "out", truth) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = [line for line in lines if line.startswith("top-1")]
    assert heads[0].startswith("top-1 0.33 (95 %: ") and " of 3 videos, top-5 " in heads[0]
    assert heads[1].startswith("top-1 0.33 (1 of 3) of 3 clips"), "the clips are of too few videos for an interval"
    assert "warning: 1 clip of these videos failed" in lines


def test_hostile_labels_are_printed_without_control_characters(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(tmp_path / "out", 1, HOSTILE, HOSTILE)
    assert evaluate(tmp_path / "out", "file,label\n0.mp4,a\n1.mp4,b\n") == 1
    out, err = capsys.readouterr()
    assert "red" in out and "\x1b[31m" not in out + err and "\u202e" not in out + err
    assert "the names of the model's labels are from the labels in the tables" in out


def test_without_classes_there_is_no_accuracy(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit(tmp_path / "out", 1, "a", "b")
    assert evaluate(tmp_path / "out", "file,label\n0.mp4,\n1.mp4,\n") == 0
    assert capsys.readouterr().out.startswith("no accuracy: none of the 2 videos with truth has a class of the model\n")
    assert evaluate(tmp_path / "out", "file,label\n0.mp4,\n1.mp4,\n", "--json") == 0
    json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def test_a_better_output_is_named(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = commit(tmp_path / "out", 1, *["a"] * 12, *["b"] * 12)
    commit(tmp_path / "out", 2, *["a"] * 24)
    truth = "file,label\n" + "".join(f"{number}.mp4,a\n" for number in range(24))
    assert evaluate(tmp_path / "out", truth, "--against", first) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "top-1: the first is better (1.00, then 0.50: -0.50" in shown
    assert "only the first is right on 12, only the second on 0" in shown
    assert "right, then wrong" in shown and "/v/12.mp4 a a 0.75 b 0.75" in shown
