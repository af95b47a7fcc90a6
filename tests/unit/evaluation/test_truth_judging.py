"""The rows of an output beside their truth: videos, ranges and clips."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import pytest
import report_factory as factory

from reelbeam.transforms.errors import ConfigError, UnusableFileError
from reelbeam.transforms.evaluation.judged import Judged
from reelbeam.transforms.evaluation.judging import Judgement, judge
from reelbeam.transforms.evaluation.truth.label_names import LabelNames, name_labels
from reelbeam.transforms.evaluation.truth.truth_file import TruthFile, TruthRow
from reelbeam.transforms.output.report_content.shown_rows import ShownRows
from reelbeam.transforms.output.tables import Output
from reelbeam.transforms.schemas import RANGE

NAMES = LabelNames(["a", "b", "c", "d"], "labels.txt", True)


def rows_of(output: pathlib.Path) -> ShownRows:
    return ShownRows.current(Output.read(str(output)))


def judged(output: pathlib.Path, *rows: tuple[Any, ...], **options: Any) -> Judgement:
    """Judges the current rows; each row of the truth is a name, its labels, and more fields."""
    found = tuple(TruthRow(number, *row) for number, row in enumerate(rows, start=2))
    return judge(rows_of(output), name_labels(TruthFile("t.csv", "line", found), NAMES), **options)


def video(uri: str, *labels: tuple[str, float, float], **columns: Any) -> dict[str, Any]:
    """Returns a row of the videos table with labels, their mean and their maximum."""
    found = [
        {"label": label, "class_id": number, "score": mean, "max_score": most}
        for number, (label, mean, most) in enumerate(labels)
    ]
    return factory.video(uri, [factory.clip(uri, 0, ("a", 0.5))], labels=found, **columns)


def commit_videos(output: pathlib.Path, *videos: dict[str, Any]) -> None:
    """Commits a run with these videos and a clip of each that has not failed."""
    clips = [
        factory.clip(row["video_uri"], 0, ("a", 0.5), **{name: row[name] for name in RANGE})
        for row in videos
        if row["status"] == "ok"
    ]
    factory.commit_run(output, 1, clips, videos)


def truths(items: Sequence[Judged]) -> list[set[str]]:
    return [set(item.truth) for item in items]


@pytest.fixture
def output(tmp_path: pathlib.Path) -> pathlib.Path:
    """Two videos, a failed one, one of which nothing passed, and one without truth."""
    commit_videos(
        tmp_path / "out",
        video("/v/1.mp4", ("a", 0.5, 0.6), ("b", 0.25, 0.9)),
        video("/v/2.mp4", ("b", 0.75, 0.75)),
        factory.video("/v/3.mp4", []),
        video("/v/4.mp4"),
        video("/v/5.mp4", ("c", 0.5, 0.5)),
    )
    return tmp_path / "out"


def test_videos(output: pathlib.Path) -> None:
    found = judged(
        output,
        ("1.mp4", ("a",), ("b", "c")),
        ("2.mp4", ("a",)),
        ("3.mp4", ("c",)),
        ("4.mp4", ()),
        ("6.mp4", ("a",)),
    )
    assert list(found.videos) == [
        Judged("/v/1.mp4", frozenset("a"), ("a", "b"), (0.5, 0.25), acceptable=frozenset("bc")),
        Judged("/v/2.mp4", frozenset("a"), ("b",), (0.75,)),
        Judged("/v/3.mp4", frozenset("c"), (), (), is_failed=True),
        Judged("/v/4.mp4", frozenset(), (), ()),
    ]
    assert [item.is_hit for item in found.videos] == [True, False, False, False]
    assert found.matching.truth_without_video == ("6.mp4",)
    assert found.matching.videos_without_truth == ("/v/5.mp4",)
    assert (found.num_failed, found.num_videos_left_out, len(found.clips)) == (1, 0, 0)
    assert found.num_missing_clips == 1


def test_the_best_clip_ranks_the_labels_of_a_video_on_request(output: pathlib.Path) -> None:
    (item,) = judged(output, ("1.mp4", ("a",)), ranking="max").videos
    assert (item.labels, item.scores, item.rank) == (("b", "a"), pytest.approx((0.9, 0.6)), 2)


def test_several_rows_of_a_video_are_a_set(output: pathlib.Path) -> None:
    rows = [("1.mp4", ("a",)), ("1.mp4", ("A", "b"), ("a", "c")), ("1.mp4", ()), ("2.mp4", ("b",)), ("2.mp4", ("b",))]
    found = judged(output, *rows)
    assert truths(found.videos) == [{"a", "b"}, {"b"}]
    assert found.videos[0].acceptable == {"c"}


def test_videos_of_unknown_labels_only_are_left_out(output: pathlib.Path) -> None:
    found = judged(output, ("1.mp4", ("x",)), ("2.mp4", ("x", "b")), ("3.mp4", ("y",)), ("4.mp4", ()))
    assert [item.video_uri for item in found.videos] == ["/v/2.mp4", "/v/4.mp4"]
    assert truths(found.videos) == [{"b"}, set()]
    assert (found.num_videos_left_out, found.num_failed) == (2, 0)
    assert len(found.matching.videos) == len(found.videos) + found.num_videos_left_out


def test_clips_are_judged_by_segments(tmp_path: pathlib.Path) -> None:
    times = [(0, 2000), (1000, 3000), (2000, 4000), (4000, 6000), (6000, 6500)]
    clips = [
        factory.clip("/v/1.mp4", index, ("a", 0.5), ("b", 0.25), start_ms=start, end_ms=end)
        for index, (start, end) in enumerate(times)
    ]
    clips += [factory.clip("/v/2.mp4", 0, ("c", 0.5)), factory.clip("/v/3.mp4", 0, ("d", 0.5))]
    factory.commit_run(tmp_path, 1, clips)
    found = judged(
        tmp_path,
        ("1.mp4", ("a",), (), 1000, 3000),
        ("1.mp4", ("b",), ("c",), 2000, 5000),
        ("1.mp4", ("d",), (), 6000, None),
        ("2.mp4", ("c",)),
    )
    # The first clip has its middle at the start of a segment, which includes it, and overlaps it by half.
    assert truths(found.clips) == [{"a"}, {"a", "b"}, {"b"}, set(), {"d"}, {"c"}]
    first = found.clips[0]
    assert first == Judged(
        "/v/1.mp4", frozenset("a"), ("a", "b"), (0.5, 0.25), False, 0, 0, 2000, first.entropy, first.log_sum_exp
    )
    assert (first.entropy, first.log_sum_exp) == (0.5, 1.5)
    assert [set(item.acceptable) for item in found.clips[1:4]] == [{"c"}, {"c"}, set()]
    assert truths(found.videos) == [{"a", "b", "d"}, {"c"}]


@pytest.mark.parametrize(
    ("segment", "is_positive"),
    [
        ((1000, 3000), True),
        ((2000, 3000), True),  # from the middle on, half of the clip
        ((1000, 2000), False),  # half of the clip, but its middle is not in the segment
        ((1900, 2800), False),  # less than half
        ((0, 2001), True),
        ((2001, 9000), False),
        ((0, None), True),
        ((3000, None), False),
    ],
)
def test_when_a_clip_is_positive(tmp_path: pathlib.Path, segment: tuple[int, int | None], is_positive: bool) -> None:
    factory.commit_run(tmp_path, 1, [factory.clip("1.mp4", 0, ("a", 0.5), start_ms=1000, end_ms=3000)])
    (item,) = judged(tmp_path, ("1.mp4", ("a",), (), *segment)).clips
    assert bool(item.truth) == is_positive


def test_clips_in_segments_of_unknown_labels_are_left_out(tmp_path: pathlib.Path) -> None:
    factory.commit_run(tmp_path, 1, [factory.clip("1.mp4", index, ("a", 0.5)) for index in range(3)])
    found = judged(tmp_path, ("1.mp4", ("x",), (), 0, 2000), ("1.mp4", ("b",), (), 2000, 4000))
    assert truths(found.clips) == [{"b"}, set()]
    assert (found.num_clips_left_out, found.num_videos_left_out) == (1, 0)


def test_ranges_of_videos_are_judged_by_their_segments(tmp_path: pathlib.Path) -> None:
    ranges = [(0, 10_000), (10_000, 20_000), (20_000, None)]
    videos = [
        video("/v/1.mp4", ("a", 0.5, 0.5), range_start_ms=start, range_end_ms=end, duration_ms=5000)
        for start, end in ranges
    ]
    commit_videos(tmp_path, *videos, video("/v/2.mp4", ("b", 0.5, 0.5)))
    found = judged(tmp_path, ("1.mp4", ("a",), (), 0, 10_000), ("1.mp4", ("b",), (), 20_000, None), ("2.mp4", ("b",)))
    assert [(item.start_ms, item.end_ms, set(item.truth)) for item in found.videos] == [
        (0, 10_000, {"a"}),
        (10_000, 20_000, set()),
        (20_000, 25_000, {"b"}),
        (None, None, {"b"}),
    ]
    assert truths(judged(tmp_path, ("1.mp4", ("c",))).videos) == [{"c"}] * 3


def test_current_rows_in_several_files_are_judged_once(tmp_path: pathlib.Path) -> None:
    uris = [f"/v/{number}.mp4" for number in range(20)]
    clips = [factory.clip(uri, index, ("a", 0.5)) for uri in uris for index in range(3)]
    factory.commit_run(tmp_path, 1, clips, num_files=3, shuffled=1)
    factory.commit_run(tmp_path, 2, clips[:6], num_files=2, shuffled=2)
    paths: list[str] = []
    found = judged(tmp_path, *((uri, ("a",), (), 0, 4000) for uri in uris), on_file=paths.append)
    assert sorted(item.video_uri for item in found.videos) == sorted(uris)
    keys = [(item.video_uri, item.clip_index) for item in found.clips]
    assert sorted(keys, key=str) == sorted(((uri, index) for uri in uris for index in range(3)), key=str)
    assert sum(bool(item.truth) for item in found.clips) == 40
    assert len(paths) == 3 * (3 + 2)


def test_a_table_is_a_sequence(output: pathlib.Path) -> None:
    videos = judged(output, ("1.mp4", ("a",)), ("2.mp4", ("a",)), ("3.mp4", ("c",))).videos
    assert len(videos) == 3 and list(videos) == [videos[0], videos[1], videos[-1]]
    assert videos[1:] == [videos[1], videos[2]]
    with pytest.raises(IndexError):
        videos[3]


def test_scores_that_are_not_scores_are_an_error(tmp_path: pathlib.Path) -> None:
    for number, score in enumerate([float("nan"), 1.5, -0.5], start=1):
        commit_videos(tmp_path / str(number), video("1.mp4", ("a", score, 0.5)))
        with pytest.raises(UnusableFileError, match="part-00000.parquet has a score outside 0 to 1"):
            judged(tmp_path / str(number), ("1.mp4", ("a",)))


def test_a_truth_of_other_videos_is_an_error(output: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="no video of the truth file is in the output"):
        judged(output, ("9.mp4", ("a",)))
