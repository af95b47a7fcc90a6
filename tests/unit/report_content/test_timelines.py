"""The timelines: which videos have one, and how clips become runs, gaps and lanes."""

from __future__ import annotations

import pathlib

import pytest
from report_factory import clip, commit_run, content_of, places, video

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.output.report_content import make_content as making
from reelbeam.transforms.output.report_content import timelines
from reelbeam.transforms.output.report_content.label_runs import LabelRun, TimeSpan, VideoFailure
from reelbeam.transforms.schemas import Row


def track(uri: str, labels: str, **columns: object) -> list[Row]:
    """Returns a clip for each letter, which is its label; a space leaves a clip out, and "-" is one without labels."""
    found = []
    for index, label in enumerate(labels):
        if label != " ":
            scores = [] if label == "-" else [(label, 0.5 + index / 100)]
            found.append(clip(uri, index, *scores, **columns))
    return found


def spans(lane: tuple[LabelRun, ...]) -> list[tuple[int, int, str, int]]:
    return [(run.start_ms, run.end_ms, run.label, run.num_clips) for run in lane]


def test_equal_neighbours_are_one_run_and_failed_parts_are_gaps(tmp_path: pathlib.Path) -> None:
    clips = track("a.mp4", " aab bb--a")
    commit_run(tmp_path, 1, clips, [video("a.mp4", clips, duration_ms=22_500)])
    (found,) = content_of(tmp_path).timelines
    (lane,) = found.lanes
    assert spans(lane) == [
        *[(2000, 6000, "a", 2), (6000, 8000, "b", 1), (10_000, 14_000, "b", 2), (14_000, 18_000, "", 2)],
        (18_000, 20_000, "a", 1),
    ]
    assert (found.video_uri, found.start_ms, found.end_ms) == ("a.mp4", 0, 22_500)
    assert found.gaps == (TimeSpan(0, 2000), TimeSpan(8000, 10_000), TimeSpan(20_000, 22_500))
    assert (found.num_changes, found.num_runs_left_out) == (3, 0)
    assert [round(run.score, 3) for run in lane] == [0.515, 0.53, 0.555, 0.0, 0.59]
    assert [run.clip for run in lane] == [0, 1, 2, None, 3]
    assert places(found.clips) == [("a.mp4", 2), ("a.mp4", 3), ("a.mp4", 6), ("a.mp4", 9)]


def test_there_is_a_lane_for_each_of_three_ranks_that_clips_have(tmp_path: pathlib.Path) -> None:
    clips = [
        clip("a.mp4", 0, ("x", 0.5), ("y", 0.3), ("z", 0.1), ("w", 0.05)),
        clip("a.mp4", 1, ("x", 0.4), ("z", 0.2)),
        clip("a.mp4", 2, ("y", 0.4), ("z", 0.1)),
    ]
    commit_run(tmp_path, 1, clips)
    (found,) = content_of(tmp_path).timelines
    assert [spans(lane) for lane in found.lanes] == [
        [(0, 4000, "x", 2), (4000, 6000, "y", 1)],
        [(0, 2000, "y", 1), (2000, 6000, "z", 2)],
        [(0, 2000, "z", 1), (2000, 6000, "", 2)],
    ]
    assert found.lanes[1][1].score == pytest.approx(0.15)
    assert [run.clip for run in found.lanes[1]] == [None, None]


def test_overlapping_clips_share_their_time_and_a_rounded_gap_is_none(tmp_path: pathlib.Path) -> None:
    times = [(0, 10_000), (5000, 15_000), (10_000, 20_000), (20_001, 30_000)]
    clips = [
        clip("a.mp4", index, ("a" if index == 1 else "b", 0.5), start_ms=start, end_ms=end)
        for index, (start, end) in enumerate(times)
    ]
    commit_run(tmp_path, 1, clips, [video("a.mp4", clips, duration_ms=30_000)])
    (found,) = content_of(tmp_path).timelines
    assert spans(found.lanes[0]) == [(0, 7500, "b", 1), (7500, 12_500, "a", 1), (12_500, 30_000, "b", 2)]
    assert found.gaps == ()


def test_a_clip_that_is_repeated_counts_once(tmp_path: pathlib.Path) -> None:
    clips = track("a.mp4", "aab")
    commit_run(tmp_path, 1, [*clips, clips[1]])
    (found,) = content_of(tmp_path).timelines
    assert spans(found.lanes[0]) == [(0, 4000, "a", 2), (4000, 6000, "b", 1)]


def test_videos_with_most_changes_have_timelines(tmp_path: pathlib.Path) -> None:
    clips = [
        *track("none.mp4", "aaaa"),
        *track("one.mp4", "aabb"),
        *track("two.mp4", "abba"),
        *track("three.mp4", "abab"),
    ]
    commit_run(tmp_path, 1, clips)
    content = content_of(tmp_path, max_timelines=2)
    assert [(each.video_uri, each.num_changes) for each in content.timelines] == [("three.mp4", 3), ("two.mp4", 2)]
    assert content.num_timelines_left_out == 1
    assert len(content_of(tmp_path).timelines) == 3
    commit_run(tmp_path, 2, [row for number in range(9) for row in track(f"tie{number}.mp4", "ababab")])
    chosen = {tuple(each.video_uri for each in content_of(tmp_path, seed=seed).timelines) for seed in range(3)}
    assert len(chosen) == 3


def test_a_requested_video_without_clips_has_its_error(tmp_path: pathlib.Path) -> None:
    clips = track("a.mp4", "a")
    bad = video("bad.mp4", [], duration_ms=None, error_code="truncated", error_message="it ends too early")
    part = video("a.mp4", clips, status="partial", error_code="no_frames", error_message="none after 0:02")
    commit_run(tmp_path, 1, clips, [bad, part])
    failed, partial = content_of(tmp_path, videos=("bad.mp4", "a.mp4")).timelines
    assert (failed.failure, failed.lanes) == (VideoFailure("truncated", "it ends too early"), ())
    assert partial.failure is None


def test_requested_videos_have_timelines_first(tmp_path: pathlib.Path) -> None:
    clips = [*track("calm.mp4", "aaaa"), *track("lively.mp4", "abab"), *track("other.mp4", "aabb")]
    videos = [
        video(uri, [row for row in clips if row["video_uri"] == uri]) for uri in ("calm.mp4", "lively.mp4", "other.mp4")
    ]
    commit_run(tmp_path, 1, clips, [*videos, video("failed.mp4", [], duration_ms=5000)])
    content = content_of(tmp_path, videos=("failed.mp4", "calm.mp4"), max_timelines=3)
    failed, calm, lively = content.timelines
    assert (failed.video_uri, failed.lanes, failed.clips) == ("failed.mp4", (), ())
    assert (failed.start_ms, failed.end_ms, failed.gaps) == (0, 5000, (TimeSpan(0, 5000),))
    assert spans(calm.lanes[0]) == [(0, 8000, "a", 4)]
    assert (lively.video_uri, content.num_timelines_left_out) == ("lively.mp4", 1)
    assert len(content_of(tmp_path, videos=("calm.mp4", "failed.mp4"), max_timelines=0).timelines) == 2


def test_each_range_of_a_requested_video_has_a_timeline(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips, videos = [], []
    for start in (60_000, 20_000):
        clips.append(clip("a.mp4", 0, ("a", 0.5), start_ms=start, end_ms=start + 2000, range_start_ms=start))
        videos.append(video("a.mp4", clips[-1:], range_start_ms=start))
    commit_run(tmp_path, 1, clips, videos)
    content = content_of(tmp_path, videos=("a.mp4",))
    assert [(each.start_ms, each.end_ms) for each in content.timelines] == [(20_000, 22_000), (60_000, 62_000)]
    monkeypatch.setattr(making, "MAX_RANGES", 1)
    assert [each.start_ms for each in content_of(tmp_path, videos=("a.mp4",)).timelines] == [20_000]


@pytest.mark.parametrize(
    ("wanted", "near"),
    [
        ("cooking.mp4", "/data/cooking.mp4"),
        ("/elsewhere/cookng.mp4", "/data/cooking.mp4"),
        ("run", "/data/running.mp4"),
        ("zzzzzz", ""),
    ],
)
def test_a_requested_video_that_is_not_there_is_an_error(tmp_path: pathlib.Path, wanted: str, near: str) -> None:
    commit_run(tmp_path, 1, [*track("/data/cooking.mp4", "a"), *track("/data/running.mp4", "a")])
    with pytest.raises(ConfigError) as raised:
        content_of(tmp_path, videos=("/data/running.mp4", wanted))
    assert f"--video {wanted} is not a video of {tmp_path}" in str(raised.value)
    assert str(raised.value).endswith(f"such as {near}" if near else "pass the URI of a row")


def test_a_long_video_has_its_longest_runs(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timelines, "MAX_RUNS", 3)
    clips = track("a.mp4", "aaabaabbbbabab")
    commit_run(tmp_path, 1, clips)
    (found,) = content_of(tmp_path).timelines
    assert [run[3] for run in spans(found.lanes[0])] == [3, 2, 4]
    assert (found.num_changes, found.num_runs_left_out) == (7, 5)
    assert [run.clip for run in found.lanes[0]] == [0, 2, 3]


def test_a_timeline_shows_the_surest_clip_of_its_longest_runs(tmp_path: pathlib.Path) -> None:
    clips = track("a.mp4", "aaab" * 20)
    commit_run(tmp_path, 1, clips)
    (found,) = content_of(tmp_path).timelines
    assert places(found.clips) == [("a.mp4", 4 * number + 2) for number in range(8)]
    assert [run.clip for run in found.lanes[0]][:5] == [0, None, 1, None, 2]
    assert len(content_of(tmp_path, clips_per_timeline=3).timelines[0].clips) == 3
