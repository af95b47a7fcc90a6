"""The sums of a report: totals, failures, labelings and the corpus."""

from __future__ import annotations

import pathlib

import pytest
import report_factory as make
from report_factory import clip, commit_run, content_of, video

from reelbeam.pipeline.cli import main
from reelbeam.transforms.output.report_content.content import Cost, Example, FailureGroup
from reelbeam.transforms.output.report_content.make_content import make_content
from reelbeam.transforms.output.report_content.shares import Share, Shares
from reelbeam.transforms.output.report_content.shown_rows import ShownRows
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.output.tables import Output
from reelbeam.transforms.reference import REMEDIES

HOSTILE = '</script><img src=x onerror="alert(1)">\u2028\u202e\x00 &amp; é'


def test_totals_count_videos_by_status(tmp_path: pathlib.Path) -> None:
    a, b = clip("a.mp4", 0, ("left", 0.9)), clip("b.mp4", 0)
    partial = {"status": "partial", "error_code": "corrupt_video", "error_message": "broken"}
    videos = [
        video("a.mp4", [a], size_bytes=10, duration_ms=4000),
        video("b.mp4", [b], size_bytes=20, duration_ms=6000, **partial),
        video("c.mp4", [], size_bytes=None, duration_ms=None),
    ]
    outcomes = {"new": 3, "already_labeled": 4}
    commit_run(tmp_path, 1, [a, b], videos, results={"outcomes": outcomes, "ignored": {".txt": 2}})
    totals = content_of(tmp_path).totals
    assert (totals.videos, totals.ok, totals.partial, totals.failed, totals.nothing_recognized) == (3, 1, 1, 1, 1)
    assert (totals.clips, totals.video_ms, totals.size_bytes) == (2, 10_000, 30)
    assert (totals.skipped, totals.ignored) == ({"already_labeled": 4}, {".txt": 2})


def test_a_file_with_several_ranges_counts_once_in_bytes(tmp_path: pathlib.Path) -> None:
    clips, videos = [], []
    for start in (0, 10_000):
        columns = {"range_start_ms": start, "range_end_ms": start + 2000}
        clips.append(clip("a.mp4", 0, ("left", 0.9), start_ms=start, end_ms=start + 2000) | columns)
        videos.append(video("a.mp4", clips[-1:], size_bytes=10, **columns))
    commit_run(tmp_path, 1, clips, videos)
    totals = content_of(tmp_path).totals
    assert (totals.videos, totals.clips, totals.video_ms, totals.size_bytes) == (2, 2, 4000, 10)


def test_failures_are_grouped_by_code_with_examples_by_hash(tmp_path: pathlib.Path) -> None:
    videos = [video(f"{name}.mp4", [], error_code="no_frames", error_message=f"{name}: {HOSTILE}") for name in "abcde"]
    a = clip("f.mp4", 0, ("left", 0.9))
    videos.append(video("f.mp4", [a], status="partial", error_code="unheard_of", error_message=None))
    commit_run(tmp_path / "one", 1, [a], videos)
    commit_run(tmp_path / "two", 1, [a], videos, num_files=3, shuffled=1)
    first, second = content_of(tmp_path / "one").failures
    assert (first.code, first.videos, first.remedy) == ("no_frames", 5, REMEDIES["no_frames"])
    assert len(first.examples) == 3
    assert {each.message for each in first.examples} <= {f"{name}: {HOSTILE}" for name in "abcde"}
    assert second == FailureGroup("unheard_of", 1, "see the message", (Example("f.mp4", ""),))
    assert content_of(tmp_path / "two").failures == (first, second)
    others = {content_of(tmp_path / "one", seed=seed).failures[0].examples for seed in range(5)}
    assert len(others) > 1


def test_runs_with_the_same_model_and_sampling_are_one_labeling(tmp_path: pathlib.Path) -> None:
    for number, uris in ((1, "ab"), (2, "c")):
        cost = RunCost(1.5, 2.5) if number == 1 else None
        clips = [clip(f"{uri}.mp4", 0, ("left", 0.9)) for uri in uris]
        commit_run(tmp_path, number, clips, results={"cost": cost} if cost else {})
    commit_run(tmp_path, 3, [clip("d.mp4", 0, ("left", 0.9))], model="other", model_fingerprint="m1")
    other, demo = content_of(tmp_path).labelings
    assert (other.model, other.num_runs, other.videos) == ("other", 1, 1)
    assert (demo.model, demo.engine, demo.precision, demo.num_runs, demo.videos) == (
        "demo",
        "openvino",
        "float32",
        2,
        3,
    )
    assert (demo.first_run, demo.last_run) == ("20260101T000000Z-000001", "20260102T000000Z-000002")
    assert demo.started_at == "2026-01-01T00:00:00+00:00"
    assert demo.cost == Cost(1.5, 2.5, 6.0)


def test_labels_are_counted_by_videos_and_by_time(tmp_path: pathlib.Path) -> None:
    clips = [
        *[clip("a.mp4", 0, ("left", 0.9)), clip("a.mp4", 1, ("right", 0.9)), clip("a.mp4", 2, ("right", 0.9))],
        *[clip("b.mp4", 0, ("left", 0.9)), clip("b.mp4", 1)],
        clip("c.mp4", 0, ("still", 0.9)),
    ]
    commit_run(tmp_path, 1, clips)
    labels = content_of(tmp_path).corpus.labels
    assert labels == Shares((Share("left", 2, 4000), Share("still", 1, 2000), Share("right", 0, 4000)))
    labels = content_of(tmp_path, num_labels=1).corpus.labels
    assert labels == Shares((Share("left", 2, 4000),), 2, Share("", 1, 6000))
    commit_run(tmp_path, 2, [clip("d.mp4", index, ("right", 0.9)) for index in range(3)])
    corpus = content_of(tmp_path, num_labels=1).corpus
    assert [share.name for share in corpus.labels.largest] == ["left"]
    assert corpus.labels_by_time == Shares((Share("right", 1, 10_000),), 2, Share("", 3, 6000))


def test_overlapping_clips_share_their_time(tmp_path: pathlib.Path) -> None:
    clips = [
        clip("a.mp4", 0, ("left", 0.9), start_ms=0, end_ms=10_000),
        clip("a.mp4", 1, ("right", 0.9), start_ms=2000, end_ms=12_000),
    ]
    commit_run(tmp_path, 1, clips)
    assert content_of(tmp_path).corpus.labels.largest == (Share("left", 1, 6000), Share("right", 0, 6000))


def test_histograms_have_exact_quartiles_and_ignore_what_is_not_finite(tmp_path: pathlib.Path) -> None:
    nan = float("nan")
    scores = [0.0, 0.25, 0.5, 0.75, 1.0, nan]
    entropies = [0.0, 0.1, 0.6, 1.2, float("inf"), nan]
    clips = [
        clip("a.mp4", number, ("left", score), entropy=entropy)
        for number, (score, entropy) in enumerate(zip(scores, entropies, strict=True))
    ]
    commit_run(tmp_path, 1, [*clips, clip("b.mp4", 0, entropy=0.0)])
    corpus = content_of(tmp_path).corpus
    assert corpus.scores.quartiles == (0.25, 0.5, 0.75)
    assert (len(corpus.scores.edges), corpus.scores.edges[3], corpus.scores.edges[-1]) == (21, 0.15, 1.0)
    assert [number for number, count in enumerate(corpus.scores.counts) if count] == [0, 5, 10, 15, 19]
    assert corpus.entropies.edges[-1] == pytest.approx(1.2)
    assert sum(corpus.entropies.counts) == 5
    assert corpus.durations.edges == (2.0, 4.0, 8.0, 16.0)
    assert (corpus.durations.counts, corpus.durations.quartiles) == ((1, 0, 1), (4.5, 7.0, 9.5))


@pytest.mark.parametrize("most", [0.0, 0.04, 0.2, 0.21, 1.0, 6.4])
def test_two_digits_show_the_edges_of_entropies_exactly(tmp_path: pathlib.Path, most: float) -> None:
    commit_run(tmp_path, 1, [clip("a.mp4", 0, ("left", 0.9), entropy=most)])
    edges = content_of(tmp_path).corpus.entropies.edges
    assert [float(f"{edge:.2f}") for edge in edges] == pytest.approx(edges, abs=1e-9)
    assert len(set(edges)) == 21 and most <= edges[-1] + 1e-6 and edges[-1] < most + 0.21


@pytest.mark.parametrize(
    ("width", "height", "name"),
    [
        (1920, 1088, "1080p"),
        (1080, 1920, "1080p"),
        (1916, 1060, "1080p"),
        (352, 288, "240p"),
        (64, 48, "below 144p"),
        (8000, 5000, "4320p"),
    ],
)
def test_pictures_are_named_by_their_short_side(tmp_path: pathlib.Path, width: int, height: int, name: str) -> None:
    a = clip("a.mp4", 0, ("left", 0.9))
    unknown = video("b.mp4", [], width=None, height=None, codec=None, container=None)
    commit_run(tmp_path, 1, [a], [video("a.mp4", [a], width=width, height=height), unknown])
    corpus = content_of(tmp_path).corpus
    assert corpus.picture_sizes == Shares((Share(name, 1, 2000),))
    assert corpus.codecs == Shares((Share("h264", 1, 2000),))
    assert corpus.containers == Shares((Share("mov", 1, 2000),))


def test_an_output_without_clips_has_content(tmp_path: pathlib.Path) -> None:
    commit_run(tmp_path / "nothing", 1, [])
    commit_run(tmp_path / "failed", 1, [], [video("a.mp4", []), video("b.mp4", [])])
    commit_run(tmp_path / "unlabeled", 1, [clip("a.mp4", 0), clip("a.mp4", 1)])
    for name, num_videos in (("nothing", 0), ("failed", 2), ("unlabeled", 1)):
        content = content_of(tmp_path / name)
        assert content.totals.videos == num_videos
        assert (content.corpus.labels.largest, content.corpus.scores.quartiles) == ((), None)
        assert (content.sheets.labels, content.timelines) == ((), ())
        assert make.places(content.sheets.sample) in ([], [("a.mp4", 0), ("a.mp4", 1)], [("a.mp4", 1), ("a.mp4", 0)])


def test_rows_of_a_run_are_shown_alone_and_as_before_a_compaction(tmp_path: pathlib.Path) -> None:
    first = commit_run(tmp_path, 1, [clip("a.mp4", 0, ("left", 0.9)), clip("b.mp4", 0, ("left", 0.8))])
    commit_run(tmp_path, 2, [clip("a.mp4", 0, ("right", 0.7)), clip("c.mp4", 0, ("left", 0.9))])
    before = Output.read(str(tmp_path))
    contents = [make_content(ShownRows.of_runs(before, before.find(first))), content_of(tmp_path)]
    assert [share.name for share in contents[0].corpus.labels.largest] == ["left"]
    assert [labeling.videos for labeling in contents[1].labelings] == [3]
    assert main(["compact", str(tmp_path)]) == 0
    after = Output.read(str(tmp_path))
    assert [make_content(ShownRows.of_runs(after, after.find(first))), content_of(tmp_path)] == contents
