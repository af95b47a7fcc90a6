"""`reelbeam diff` of two outputs and of two runs: its JSON, its tables, and what it says of wrong arguments."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import output_factory as factory
import pytest
from output_factory import Video

from reelbeam.pipeline.cli import main

RUN_KEYS = {
    *("before", "after", "num_videos", "skipped", "skipped_by_reason", "labeling_key", "new", "lost", "relabeled"),
    *("status_changed", "largest_score_change", "errors", "settings", "drift", "same_content"),
}
DRIFT_KEYS = {
    *(
        "verdict",
        "observed_variation",
        "chance_variation",
        "moved",
        "divergence_bits",
        "p_value",
        "labels",
        "facts",
        "failures",
        "distances",
    ),
    *("labeled_before", "labeled_after"),
}
SHARE_KEYS = {
    *("name", "videos_before", "videos_after", "low", "high", "is_significant", "of_before", "of_after"),
}


def videos(label: str | None, *numbers: int) -> list[Video]:
    return [Video(f"v{number:03d}.mp4", label) for number in range(*numbers)]


def as_json(capsys: pytest.CaptureFixture[str], *argv: object) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["diff", *map(str, argv), "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert isinstance(found, dict)
    return found


def printed(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    capsys.readouterr()
    assert main(["diff", *map(str, argv)]) == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.fixture
def outputs(tmp_path: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """The second output has 20 of the 60 videos, 5 of them with another label, and 40 new ones with another label."""
    before, after = tmp_path / "march", tmp_path / "april"
    factory.commit_run(before, 1, videos("left", 40))
    factory.commit_run(before, 2, [*videos("left", 40, 60), Video("bad.mp4", None)], skipped={"already_labeled": 40})
    factory.commit_run(after, 1, [*videos("left", 15), *videos("right", 15, 20), *videos("right", 100, 140)])
    return before, after


def test_json_of_two_outputs(outputs: tuple[pathlib.Path, pathlib.Path], capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, *outputs)
    assert set(found) == RUN_KEYS - {"skipped", "skipped_by_reason"}
    assert (found["before"], found["after"]) == ([str(outputs[0])], [str(outputs[1])])
    assert found["num_videos"] == {"before": 61, "after": 60, "both": 20}
    assert len(found["new"]) == 40 and len(found["lost"]) == 41 and found["lost"][0] == "bad.mp4"
    assert [row["video_uri"] for row in found["relabeled"]] == [f"v{number:03d}.mp4" for number in range(15, 20)]
    assert found["errors"] == {"corrupt_video": {"before": 1, "after": 0}}
    assert (found["labeling_key"], found["settings"], found["same_content"]) == ({}, [], 20)
    drift = found["drift"]
    assert set(drift) == DRIFT_KEYS and (drift["verdict"], drift["p_value"]) == ("drift", 0.001)
    assert (drift["labeled_before"], drift["labeled_after"]) == (60, 60)
    assert {frozenset(each) for each in drift["labels"]} == {frozenset(SHARE_KEYS)}
    assert [(each["name"], each["videos_before"], each["videos_after"]) for each in drift["labels"]] == [
        ("left", 60, 15),
        ("right", 0, 45),
    ]
    assert {each["name"] for each in drift["failures"]} == {"corrupt_video"}


def test_json_of_two_runs_has_the_same_keys_and_the_skipped_inputs(
    outputs: tuple[pathlib.Path, pathlib.Path], capsys: pytest.CaptureFixture[str]
) -> None:
    found = as_json(capsys, outputs[0], "20260101", "20260102")
    assert set(found) == RUN_KEYS
    assert found["skipped"] == {"before": 0, "after": 40} and len(found["lost"]) == 40
    assert found["drift"]["verdict"] == "too few videos"


def test_an_output_against_itself(
    outputs: tuple[pathlib.Path, pathlib.Path], capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, outputs[0], outputs[0])
    assert "61 videos before, 61 after, 61 in both: 0 with another top label, 0 with another status" in text
    assert "no drift: label shares differ no more than by chance: by 0 % of the videos, and chance alone gives" in text
    assert "in both with the same content: 61 videos" in text
    assert "significant" not in text, "no share changed"


def test_the_table_ends_with_the_verdict_and_its_reasons(
    outputs: tuple[pathlib.Path, pathlib.Path], capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, *outputs)
    assert "61 videos before, 60 after, 20 in both: 5 with another top label, 0 with another status, " in text
    moved = "drift: about 74 % of the videos moved to other labels (p = 0.001)"
    assert f"40 only in the second output, 41 only in the first output {moved}; label shares differ by 75 %" in text
    assert "25 % of the 20 videos in both have another top label (95 % interval: 11 % to 47 %)" in text
    assert "left 100 % 25 % -75" in text and "right 0 % 75 % +75" in text
    assert "skipped" not in text, "the current rows have rows of skipped videos"
    small = printed(capsys, *outputs, "--min_drift=0.9")
    assert f"no {moved}, which is significant but small; label shares differ by 75 %, and chance alone gives" in small


def test_outputs_of_different_models_are_not_comparable(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    factory.commit_run(tmp_path / "a", 1, videos("left", 40))
    factory.commit_run(tmp_path / "b", 1, videos("right", 40), model="m1")
    found = as_json(capsys, tmp_path / "a", tmp_path / "b")
    assert found["labeling_key"]["model_fingerprint"] == {"before": "m0", "after": "m1"}
    assert found["settings"] == [{"name": "model_fingerprint", "before": "m0", "after": "m1"}]
    assert found["drift"]["verdict"] == "not comparable" and found["drift"]["labels"]
    text = printed(capsys, tmp_path / "a", tmp_path / "b")
    assert "The two outputs differ in the model (demo, then demo): labels and scores may differ" in text
    assert "not comparable: model (m0, then m1) differs; label shares may differ for that reason" in text
    assert "100 % of the 40 videos in both have another top label" in text
    assert "same content" not in text, "there is no verdict that it explains"


def test_too_few_videos_and_failures(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    factory.commit_run(tmp_path / "a", 1, [*videos("left", 12), *videos(None, 50, 90)])
    factory.commit_run(tmp_path / "b", 1, videos("right", 8))
    text = printed(capsys, tmp_path / "a", tmp_path / "b")
    assert "too few videos: 12 labeled videos before and 8 after; a verdict needs 30 on each side" in text
    assert "corrupt_video 77 % 0 % -77" in text


def test_the_result_is_the_same_after_a_compaction(
    outputs: tuple[pathlib.Path, pathlib.Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = as_json(capsys, *outputs)
    assert main(["compact", str(outputs[0])]) == 0
    assert as_json(capsys, *outputs) == before


def test_wrong_arguments(
    outputs: tuple[pathlib.Path, pathlib.Path], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    march, april = map(str, outputs)

    def error(*argv: str) -> str:
        capsys.readouterr()
        assert main(["diff", *argv]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1
        return err

    assert f"20260101 is a run of {march}, and only one run was given: pass another run of it, too" in error(
        march, "20260101"
    )
    assert f"{tmp_path}/none holds no committed run" in error(march, f"{tmp_path}/none")
    assert f"{tmp_path}/none holds no committed run" in error(f"{tmp_path}/none", march)
    assert f"{april} is not a committed run of {march}" in error(march, april, "20260101")
    assert "to compare two outputs, pass these two and no run" in error(march, april, "20260101")
    assert "matches several runs" in error(march, "2026", "20260101")
    with pytest.raises(SystemExit):
        main(["diff", march])
    assert "the following arguments are required: OTHER" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["diff", "--help"])
    help_text = capsys.readouterr().out
    assert help_text.startswith(
        "usage: reelbeam diff [OPTION ...] OUTPUT OTHER\n       reelbeam diff [OPTION ...] OUTPUT"
    )


def test_hostile_names_are_printed_as_text(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "\x1b[31mv\u202e[bold].mp4"
    factory.commit_run(tmp_path / "a", 1, [Video(name), *videos("left", 40)])
    factory.commit_run(tmp_path / "b", 1, [Video(name, "right"), *videos("left", 40)])
    text = printed(capsys, tmp_path / "a", tmp_path / "b")
    assert "\x1b" not in text and "\u202e" not in text and "[bold]" in text
    (row,) = as_json(capsys, tmp_path / "a", tmp_path / "b")["relabeled"]
    assert row["video_uri"] == name
