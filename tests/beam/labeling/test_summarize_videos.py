"""SummarizeVideos: one summary for each input, labeled or failed."""

from __future__ import annotations

import functools
import operator
import pickle

import apache_beam as beam
import numpy as np
import pytest
import record_factory as make
from apache_beam.testing.util import assert_that, equal_to
from local_pipeline import LocalPipeline

from reelbeam.transforms.models.label_filter import LabelFilter
from reelbeam.transforms.models.scores import ScoreSum, softmax
from reelbeam.transforms.summarize_videos import LabeledCollections, SummarizeVideos, _SumScoresFn, summarize


@pytest.mark.parametrize(
    ("num_planned", "num_scored", "num_failures", "status"),
    [(2, 2, 0, "ok"), (2, 1, 1, "partial"), (2, 0, 1, "failed"), (0, 0, 0, "ok"), (None, 0, 1, "failed")],
)
def test_status(num_planned: int | None, num_scored: int, num_failures: int, status: str) -> None:
    plans = [] if num_planned is None else [make.planned(num_clips=num_planned)]
    summary = summarize(make.video(), plans, num_scored, (), [make.failure()] * num_failures)
    assert (summary.status, summary.num_clips, summary.num_planned_clips) == (status, num_scored, num_planned or 0)
    assert (summary.failure is None) == (num_failures == 0)
    assert (summary.media is None) == (num_planned is None)


def test_the_first_failure_is_reported() -> None:
    failures = [make.failure(code="late", segment=3), make.failure(code="early", segment=1), make.failure(code="mid")]
    summary = summarize(make.video(), [make.planned()], 0, (), failures)
    assert summary.failure and summary.failure.code == "mid"
    whole = make.failure(code="whole", stage="plan", segment=None)
    summary = summarize(make.video(), [], 0, (), [*failures, whole])
    assert summary.failure and summary.failure.code == "whole"


def scores_of(*clips: tuple[float, ...]) -> ScoreSum:
    return functools.reduce(operator.add, [ScoreSum.of(np.array(clip, np.float32)) for clip in clips])


def test_labels_are_means_with_the_best_clip_beside() -> None:
    total = scores_of((0.7, 0.2, 0.1), (0.1, 0.6, 0.3))
    first, second = total.top_labels(make.LABELS, LabelFilter(2))
    assert (first.label, first.score, first.max_score) == ("left", pytest.approx(0.4), pytest.approx(0.7))
    assert (second.label, second.score, second.max_score) == ("right", pytest.approx(0.4), pytest.approx(0.6))
    assert [x.label for x in total.top_labels(make.LABELS, LabelFilter(3, 0.3))] == ["left", "right"]


def test_sums_are_the_same_in_every_order_and_after_every_journey() -> None:
    random = np.random.default_rng(1)
    clips = [tuple(row) for row in softmax(random.normal(0, 9, (200, 3)))]
    there, back = scores_of(*clips), scores_of(*clips[::-1])
    halves = pickle.loads(pickle.dumps(scores_of(*clips[:77]))) + pickle.loads(pickle.dumps(scores_of(*clips[77:])))
    for other in (back, halves):
        assert other.num_clips == 200
        assert (other.total == there.total).all() and (other.highest == there.highest).all()
    mean = np.mean(np.array(clips, np.float32), axis=0, dtype=np.float64)
    found = {label.class_id: label.score for label in there.top_labels(make.LABELS, LabelFilter(3))}
    np.testing.assert_allclose([found[i] for i in range(3)], mean, rtol=1e-7)


def test_a_single_clip_travels_as_its_scores() -> None:
    scores = softmax(np.random.default_rng(1).normal(0, 9, (1, 600)))[0]
    sent = pickle.dumps(ScoreSum.of(scores))
    assert len(sent) < scores.nbytes * 1.2
    assert (pickle.loads(sent).total == ScoreSum.of(scores).total).all()


def test_clips_are_added_up_before_they_travel() -> None:
    videos = ["a.mp4"] * 40 + ["b.mp4"] * 3 + ["a.mp4"] * 2
    function = _SumScoresFn()
    function.start_bundle()
    sent = [pair for i, uri in enumerate(videos) for pair in function.process(make.scores(uri, i))]
    sent += [last.value for last in function.finish_bundle()]
    assert [(uri, total.num_clips) for uri, total in sent] == [("a.mp4", 40), ("b.mp4", 3), ("a.mp4", 2)]


def test_every_listed_video_comes_out_once_and_nothing_else() -> None:
    uris = ["ok.mp4", "partial.mp4", "failed.mp4", "unplanned.mp4"]
    scored = [make.scores("ok.mp4", 1, (0.1, 0.8, 0.1)), make.scores("ok.mp4", 0), make.scores("partial.mp4")]
    failures = [make.failure("partial.mp4"), make.failure("failed.mp4"), make.failure("unplanned.mp4", segment=None)]
    with LocalPipeline() as pipeline:
        labeled = LabeledCollections(
            videos=pipeline | "Videos" >> beam.Create([make.video(uri) for uri in uris]),
            planned=pipeline | "Planned" >> beam.Create([make.planned(uri) for uri in uris[:3]]),
            scores=pipeline | "Scores" >> beam.Create(scored),
            failures=pipeline | "Failures" >> beam.Create(failures),
        )
        summaries = labeled | SummarizeVideos(labels=make.LABELS, kept=LabelFilter(1))
        reported = summaries | beam.Map(
            lambda s: (s.video.video_uri, s.status, s.num_clips, s.labels[0].label if s.labels else None)
        )
        expected = [
            ("ok.mp4", "ok", 2, "right"),
            ("partial.mp4", "partial", 1, "left"),
            ("failed.mp4", "failed", 0, None),
            ("unplanned.mp4", "failed", 0, None),
        ]
        assert_that(reported, equal_to(expected))
