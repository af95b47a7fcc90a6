"""SummarizeVideos: one summary for each input, whatever became of it."""

from __future__ import annotations

import apache_beam as beam
import numpy as np
import pytest
import record_factory as make
from apache_beam.testing.util import assert_that, equal_to
from local_pipeline import LocalPipeline

from transforms.summarize_videos import SummarizeVideos, mean_labels, summarize


@pytest.mark.parametrize(
    ("num_planned", "num_scored", "num_failures", "status"),
    [(2, 2, 0, "ok"), (2, 1, 1, "partial"), (2, 0, 1, "failed"), (0, 0, 0, "ok"), (None, 0, 1, "failed")],
)
def test_status(num_planned: int | None, num_scored: int, num_failures: int, status: str) -> None:
    plans = [] if num_planned is None else [make.planned(num_clips=num_planned)]
    scored = [make.scores(index=i) for i in range(num_scored)]
    summary = summarize(make.video(), plans, scored, [make.failure()] * num_failures)
    assert (summary.status, summary.num_clips, summary.num_planned_clips) == (status, num_scored, num_planned or 0)
    assert (summary.failure is None) == (num_failures == 0)
    assert (summary.media is None) == (num_planned is None)


def test_the_first_failure_is_the_one_that_is_told() -> None:
    failures = [make.failure(code="late", segment=3), make.failure(code="early", segment=1), make.failure(code="mid")]
    summary = summarize(make.video(), [make.planned()], [], failures)
    assert summary.failure and summary.failure.code == "mid"
    whole = make.failure(code="whole", stage="plan", segment=None)
    summary = summarize(make.video(), [], [], [*failures, whole])
    assert summary.failure and summary.failure.code == "whole"


def test_labels_are_means_with_the_best_clip_beside() -> None:
    clips = [np.array(x, np.float32) for x in ([0.7, 0.2, 0.1], [0.1, 0.6, 0.3])]
    first, second = mean_labels(clips, make.LABELS, top_k=2, min_score=0.0)
    assert (first.label, first.score, first.max_score) == ("left", pytest.approx(0.4), pytest.approx(0.7))
    assert (second.label, second.score, second.max_score) == ("right", pytest.approx(0.4), pytest.approx(0.6))
    assert [x.label for x in mean_labels(clips, make.LABELS, 3, min_score=0.3)] == ["left", "right"]


def test_every_listed_video_comes_out_once_and_nothing_else() -> None:
    uris = ["ok.mp4", "partial.mp4", "failed.mp4", "unplanned.mp4"]
    scored = [make.scores("ok.mp4", 1, (0.1, 0.8, 0.1)), make.scores("ok.mp4", 0), make.scores("partial.mp4")]
    failures = [make.failure("partial.mp4"), make.failure("failed.mp4"), make.failure("unplanned.mp4", segment=None)]
    with LocalPipeline() as pipeline:
        parts = (
            pipeline | "Videos" >> beam.Create([make.video(uri) for uri in uris]),
            pipeline | "Planned" >> beam.Create([make.planned(uri) for uri in uris[:3]]),
            pipeline | "Scores" >> beam.Create(scored),
            pipeline | "Failures" >> beam.Create(failures),
        )
        summaries = parts | SummarizeVideos(make.LABELS, top_k=1)
        told = summaries | beam.Map(
            lambda s: (s.video.video_uri, s.status, s.num_clips, s.labels[0].label if s.labels else None)
        )
        expected = [
            ("ok.mp4", "ok", 2, "right"),
            ("partial.mp4", "partial", 1, "left"),
            ("failed.mp4", "failed", 0, None),
            ("unplanned.mp4", "failed", 0, None),
        ]
        assert_that(told, equal_to(expected))
