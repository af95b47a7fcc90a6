"""What a process remembers of videos for its counters is bounded and contains no URIs."""

from __future__ import annotations

import pytest

from reelbeam.transforms import metrics


@pytest.fixture(autouse=True)
def fresh() -> None:
    metrics.reset_tally()


def test_a_worker_that_runs_for_weeks_remembers_a_bounded_number_of_videos() -> None:
    most = metrics.RecentVideos().most
    for number in range(most + 1000):
        metrics.count_segment_done(f"gs://b/{number}.mp4", num_segments=3)  # other workers have the rest
        metrics.count_broken(f"gs://b/{number}.mp4")
    assert (len(metrics._open_segments), len(metrics._broken)) == (most, most)
    metrics.count_broken(f"gs://b/{most + 999}.mp4")
    assert metrics.tally() == {metrics.VIDEOS_BROKEN: most + 1000}


def test_a_video_is_done_with_its_last_segment() -> None:
    for uri in ("a", "b", "a", "c", "a"):
        metrics.count_segment_done(uri, num_segments={"a": 3, "b": 2, "c": 1}[uri])
    assert metrics.tally() == {metrics.VIDEOS_DONE: 2}


def test_no_uri_is_kept() -> None:
    metrics.count_segment_done("https://x/a.mp4?sig=12", num_segments=2)
    metrics.count_broken("https://x/a.mp4?sig=12")
    assert metrics._open_segments and metrics._broken
    assert all(isinstance(key, int) for held in (metrics._open_segments, metrics._broken) for key in held)
