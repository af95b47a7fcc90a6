"""`reelbeam diff` of two outputs that the demo model labeled."""

from __future__ import annotations

import json
import pathlib
import shutil
from typing import Any

import pytest

from reelbeam.pipeline.cli import main

pytestmark = pytest.mark.slow  # whole runs


def test_two_outputs_of_real_runs(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos, outputs = tmp_path / "in", [str(tmp_path / name) for name in ("march", "april", "other")]
    videos.mkdir()

    def label(output: str, *flags: str) -> None:
        assert main(["label", "--model=demo", str(videos), "--output", output, *flags]) == 0

    def diff(*argv: str) -> Any:
        capsys.readouterr()
        assert main(["diff", *argv, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    for name in ("broken.mp4", "growing.mp4", "moving_up.mp4"):
        shutil.copy2(samples_dir / name, videos / name)
    label(outputs[0])
    shutil.copy(samples_dir / "shrinking.mp4", videos / "growing.mp4")
    shutil.copy2(samples_dir / "standing_still.mp4", videos / "standing_still.mp4")
    (videos / "broken.mp4").unlink()
    label(outputs[1])
    label(outputs[2], "--target_fps=10")

    found = diff(*outputs[:2])
    assert found["num_videos"] == {"before": 3, "after": 3, "both": 2}
    assert (found["new"], found["lost"]) == ([str(videos / "standing_still.mp4")], [str(videos / "broken.mp4")])
    (row,) = found["relabeled"]
    assert (row["video_uri"], row["top_label_after"]) == (str(videos / "growing.mp4"), "shrinking")
    assert (found["same_content"], found["settings"]) == (1, [])
    assert [tuple(each.values()) for each in found["errors"].values()] == [(1, 0)]
    assert found["drift"]["verdict"] == "too few videos"
    names = {each["name"] for each in found["drift"]["distances"]}
    assert {"top score", "entropy (nats)", "duration (s)", "frames per second"} <= names

    found = diff(*outputs[1:])
    assert [each["name"] for each in found["settings"]] == ["target_fps"]
    assert found["drift"]["verdict"] == "not comparable" and found["num_videos"]["both"] == 3
    assert main(["diff", *outputs[1:]]) == 0
    assert "not comparable: target_fps (" in " ".join(capsys.readouterr().out.split())
