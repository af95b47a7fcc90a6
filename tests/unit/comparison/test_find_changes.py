"""What a report says of two selections of rows."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import report_factory as make

from reelbeam.transforms.output.comparison.changes import Changes, FieldChange
from reelbeam.transforms.output.comparison.find_changes import ChangeOptions, find_changes
from reelbeam.transforms.output.comparison.samples import video_sample
from reelbeam.transforms.output.comparison.side_rows import SideRows
from reelbeam.transforms.output.comparison.wording import verdict_text
from reelbeam.transforms.output.report_content.shown_rows import ShownRows
from reelbeam.transforms.output.run_files import to_table
from reelbeam.transforms.output.tables import Output
from reelbeam.transforms.records import NOTHING_RECOGNIZED
from reelbeam.transforms.schemas import Row


def labeled(uri: str, label: str, score: float = 0.5, **columns: Any) -> tuple[Row, list[Row]]:
    """Returns the row of a video and its clips: the second one is the surest."""
    labels = [{"label": label, "class_id": 0, "score": score, "max_score": score}]
    ranges = {name: value for name, value in columns.items() if name.startswith("range_")}
    clips = [make.clip(uri, index, (label, score + index % 2 / 10), entropy=index, **ranges) for index in range(3)]
    return make.video(uri, clips, top_score=score, labels=labels, **columns), clips


def commit(output: pathlib.Path, number: int, *videos: tuple[Row, list[Row]], **more: Any) -> str:
    """Commits a run of videos with clips."""
    clips = [clip for _, clips in videos for clip in clips]
    return make.commit_run(output, number, clips, [row for row, _ in videos], **more)


def many(label: str, numbers: range, **columns: Any) -> list[tuple[Row, list[Row]]]:
    return [labeled(f"v{number:03d}.mp4", label, **columns) for number in numbers]


def current(output: pathlib.Path) -> ShownRows:
    return ShownRows.current(Output.read(str(output)))


def changes_of(before: pathlib.Path, after: pathlib.Path, **options: Any) -> Changes:
    return find_changes(current(before), current(after), ChangeOptions(**options))


def test_changes_of_two_outputs(tmp_path: pathlib.Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    commit(before, 1, labeled("a", "left"), labeled("b", "left"), labeled("c", "left", 0.9), labeled("lost", "left"))
    moved = labeled("c", "right", 0.6, content_version="other", size_bytes=77)
    commit(after, 1, labeled("a", "left"), labeled("b", "right", 0.4), moved, labeled("new", "left"))
    found = changes_of(before, after)
    assert (found.before.name, found.before.output, found.before.models) == ("before", str(before), ("demo",))
    assert (found.before.videos, found.after.videos, found.both, found.new, found.lost) == (4, 4, 3, 1, 1)
    assert (found.new_examples, found.lost_examples) == (("new",), ("lost",))
    assert (found.relabeled, found.same_content, found.settings) == (2, 2, ())
    surest, other = found.changed
    assert (surest.video_uri, other.video_uri) == ("c", "b"), "0.9 and 0.6 are surer than 0.5 and 0.4"
    assert surest.before[0].score == pytest.approx(0.9) and surest.after[0].label == "right"
    assert surest.clip is not None and surest.clip.key.clip_index == 1, "the surest clip"
    assert [each.label for each in surest.clip.labels] == ["right"]
    assert (surest.clip.content_version, surest.clip.size_bytes) == ("other", 77)
    assert found.drift.verdict == "too few videos"
    assert verdict_text(found.drift, found.settings) == (
        "too few videos: 4 labeled videos before and 4 after; a verdict needs 30 on each side"
    )
    assert len(changes_of(before, after, num_changed=1).changed) == 1
    assert changes_of(before, after, num_changed=0).changed == ()


def test_changes_of_runs_count_skipped_inputs(tmp_path: pathlib.Path) -> None:
    first = commit(tmp_path, 1, *many("left", range(5)))
    second = commit(tmp_path, 2, labeled("new", "left"), results={"outcomes": {"new": 1, "already_labeled": 5}})
    output = Output.read(str(tmp_path))
    before, after = (ShownRows.of_runs(output, output.find(name)) for name in (first, second))
    found = find_changes(before, after)
    assert (found.lost, found.new, found.both, found.before.skipped, found.after.skipped) == (5, 1, 0, 0, 5)
    assert (found.before.name, found.after.name) == (first, second)
    whole = find_changes(ShownRows.of_runs(output, output.find(first)), current(tmp_path))
    assert (whole.lost, whole.new, whole.both, whole.after.skipped) == (0, 1, 5, 0)


def test_an_output_against_itself_has_no_changes(tmp_path: pathlib.Path) -> None:
    commit(tmp_path, 1, *many("left", range(40)), *many("right", range(40, 60)))
    found = changes_of(tmp_path, tmp_path)
    assert (found.relabeled, found.new, found.lost, found.both, found.same_content) == (0, 0, 0, 60, 60)
    assert (found.drift.verdict, found.drift.p_value, found.drift.moved) == ("no drift", 1, 0)
    assert {each.p_value for each in found.drift.distances} == {1}


def test_drift_of_two_outputs(tmp_path: pathlib.Path) -> None:
    commit(tmp_path / "a", 1, *many("left", range(60)))
    commit(tmp_path / "b", 1, *many("left", range(100, 130)), *many("right", range(130, 160), codec="vp9"))
    found = changes_of(tmp_path / "a", tmp_path / "b")
    assert found.drift.verdict == "drift" and found.drift.moved == pytest.approx(0.5, abs=0.03)
    assert verdict_text(found.drift, ()) == (
        "drift: about 49 % of the videos moved to other labels (p = 0.001); label shares differ by 50 %, and "
        "chance alone gives 6.5 %"
    )
    assert [(each.name, each.is_significant) for each in found.drift.labels] == [("left", True), ("right", True)]
    assert {each.name for each in found.drift.facts if each.is_significant} == {"codec h264", "codec vp9"}
    assert {each.name for each in found.drift.distances} == {
        *("top score", "entropy (nats)", "duration (s)", "frames per second", "file size (MB)")
    }
    assert changes_of(tmp_path / "a", tmp_path / "b", min_drift=0.6).drift.verdict == "no drift"


def test_other_settings_are_named_and_not_compared(tmp_path: pathlib.Path) -> None:
    videos = many("left", range(40))
    usual = {"num_frames": 50, "target_fps": "5", "min_score": 0.0}
    commit(tmp_path / "a", 1, *videos, configuration=usual)
    other = usual | {"target_fps": "10"}
    commit(tmp_path / "model", 1, *videos, configuration=usual, model="a2-base", model_fingerprint="m2")
    commit(tmp_path / "rate", 1, *videos, configuration=other, sampling_fingerprint="s2")
    commit(tmp_path / "unsaid", 1, *videos, configuration=usual, sampling_fingerprint="s2", precision="bfloat16")
    commit(tmp_path / "score", 1, *videos, configuration=usual | {"min_score": 0.5})
    commit(tmp_path / "weights", 1, *videos, configuration=usual, model_fingerprint="0123456789abcdef")

    def settings(name: str) -> tuple[FieldChange, ...]:
        found = changes_of(tmp_path / "a", tmp_path / name)
        assert found.drift.verdict == "not comparable"
        return found.settings

    assert settings("model") == (FieldChange("model", "demo", "a2-base"),)
    assert settings("rate") == (FieldChange("target_fps", "5", "10"),)
    assert settings("score") == (FieldChange("min_score", "0.0", "0.5"),)
    assert settings("weights") == (FieldChange("model_fingerprint", "m0", "0123456789ab"),)
    assert settings("unsaid") == (
        FieldChange("sampling_fingerprint", "s0", "s2"),
        FieldChange("precision", "float32", "bfloat16"),
    )
    found = changes_of(tmp_path / "a", tmp_path / "model")
    assert verdict_text(found.drift, found.settings) == (
        "not comparable: model (demo, then a2-base) differs; label shares may differ for that reason"
    )


def test_rows_of_other_settings_than_most_do_not_count(tmp_path: pathlib.Path) -> None:
    commit(tmp_path / "a", 1, *many("left", range(40)))
    commit(tmp_path / "b", 1, *many("left", range(40)))
    commit(tmp_path / "b", 2, labeled("one", "right"), model_fingerprint="m2", model="a2-base")
    found = changes_of(tmp_path / "a", tmp_path / "b")
    assert (found.drift.verdict, found.settings, found.after.videos) == ("no drift", (), 41)
    assert (found.drift.labeled_before, found.drift.labeled_after) == (40, 40)
    assert found.after.models == ("demo", "a2-base")


def test_the_settings_of_most_rows_are_compared(tmp_path: pathlib.Path) -> None:
    """A video was labeled with another `--min_score`, and the order in which values occur is not a difference."""
    low, high = {"min_score": 0.1}, {"min_score": 0.2}
    commit(tmp_path / "a", 1, *many("left", range(40)), configuration=low)
    commit(tmp_path / "b", 1, labeled("x", "left"), configuration=high)
    commit(tmp_path / "b", 2, *many("left", range(40)), configuration=low)
    commit(tmp_path / "c", 1, *many("left", range(40)), configuration=low)
    commit(tmp_path / "c", 2, *many("left", range(100, 141)), configuration=high)
    assert changes_of(tmp_path / "a", tmp_path / "b").settings == ()
    assert changes_of(tmp_path / "a", tmp_path / "c").settings == (FieldChange("min_score", "0.1", "0.2"),)


def test_a_video_with_ranges_counts_once(tmp_path: pathlib.Path) -> None:
    ranges = [
        labeled("long.mp4", "left", range_start_ms=1000 * number, range_end_ms=1000 * number + 500)
        for number in range(50)
    ]
    commit(tmp_path, 1, *ranges, labeled("a", "right"), labeled("long.mp4", "right"))
    side = SideRows.read(current(tmp_path))
    assert len(side.rows) == 52
    sample = video_sample(side)
    assert sample.videos == 2 and sum(sample.labels.values()) == 2
    found = changes_of(tmp_path, tmp_path)
    assert (found.both, found.drift.verdict) == (52, "too few videos")


def test_videos_without_label_and_failed_videos(tmp_path: pathlib.Path) -> None:
    unrecognized, clips = labeled("a", "left")
    unrecognized |= {"top_label": None, "top_score": None, "labels": []}
    failed = make.video("b", []), list[Row]()
    commit(tmp_path, 1, (unrecognized, clips), failed, labeled("c", "left"))
    sample = video_sample(SideRows.read(current(tmp_path)))
    assert sample.labels == {NOTHING_RECOGNIZED: 1, "left": 1} and sample.failures == {"corrupt_video": 1}


def test_entropies_are_means_of_the_clips_of_a_video(tmp_path: pathlib.Path) -> None:
    commit(tmp_path, 1, labeled("a", "left"), (make.video("b", []), []))
    side = SideRows.read(current(tmp_path))
    found = dict(zip(side.names(np.arange(2)), side.entropies.tolist(), strict=True))
    assert found["a"] == 1 and found["b"] != found["b"], "a failed video has none"


@pytest.mark.parametrize("num_files", [1, 3])
def test_changes_do_not_depend_on_the_order_of_rows(tmp_path: pathlib.Path, num_files: int) -> None:
    before, after = many("left", range(40)), many("right", range(20, 60), score=0.7)
    commit(tmp_path / "x/before", 1, *before)
    commit(tmp_path / "x/after", 1, *after)
    commit(tmp_path / "y/before", 1, *before, num_files=num_files, shuffled=1)
    commit(tmp_path / "y/after", 1, *after, num_files=num_files, shuffled=2)
    first, second = (changes_of(tmp_path / name / "before", tmp_path / name / "after") for name in "xy")
    assert (first.changed, first.drift, first.new_examples) == (second.changed, second.drift, second.new_examples)
    assert len(first.new_examples) == 10 and first.new == 20
    other = changes_of(tmp_path / "x/before", tmp_path / "x/after", seed=1)
    assert other.new_examples != first.new_examples and other.drift == first.drift


def test_a_side_without_rows(tmp_path: pathlib.Path) -> None:
    commit(tmp_path / "a", 1)
    commit(tmp_path / "b", 1, *many("left", range(40)))
    found = changes_of(tmp_path / "a", tmp_path / "b")
    assert (found.before.videos, found.new, found.lost, found.both) == (0, 40, 0, 0)
    assert (found.drift.verdict, found.settings, found.drift.distances) == ("too few videos", (), ())
    assert changes_of(tmp_path / "b", tmp_path / "a").lost == 40


@pytest.mark.parametrize("number", [2**60 + 1, 2**63 - 1, -(2**63)])
def test_numbers_that_a_float_cannot_hold_do_not_stop_a_comparison(tmp_path: pathlib.Path, number: int) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    commit(before, 1, *many("left", range(30)))
    columns = {"duration_ms": number, "size_bytes": number, "width": 2**31 - 1, "height": -(2**31)}
    run_id = commit(after, 1, *many("left", range(30)))
    rows = [row | {"run_id": run_id} | columns for row, _ in many("left", range(30))]
    pq.write_table(to_table("videos", rows), after / "videos" / f"run={run_id}" / "part-00000.parquet")
    assert changes_of(before, after).both == 30
