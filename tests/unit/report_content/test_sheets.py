"""The choice of clips for the contact sheets."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import random
from collections.abc import Sequence

import numpy as np
import pytest
from report_factory import clip, commit_run, content_of, places, video, videos_of

from reelbeam.transforms.output.report_content.clip_choice import ContentOptions
from reelbeam.transforms.output.report_content.content import Content
from reelbeam.transforms.output.report_content.shown_clips import ScoredLabel, ShownClip
from reelbeam.transforms.output.row_keys import seeded_hashes
from reelbeam.transforms.schemas import Row


def scores_of(clips: Sequence[ShownClip]) -> list[float]:
    return [round(each.labels[0].score, 2) for each in clips]


def corpus(num_videos: int = 60, num_clips: int = 4, seed: int = 1) -> list[Row]:
    """Returns clips with random scores of a few labels."""
    rng = random.Random(seed)
    names = [f"label {number}" for number in range(8)]
    rows = []
    for number in range(num_videos):
        for index in range(num_clips):
            best, second = rng.sample(names, 2)
            score = round(rng.random(), 1)  # many are equal
            columns = {"entropy": rng.random() * 3, "log_sum_exp": rng.gauss(10, 3)}
            rows.append(clip(f"{number:03d}.mp4", index, (best, score), (second, score * rng.random()), **columns))
    return rows


def comparable(content: Content) -> Content:
    return dataclasses.replace(content, output="", labelings=())


def test_a_shown_clip_is_its_row(tmp_path: pathlib.Path) -> None:
    row = clip("a.mp4", 3, ("left", 0.5), ("right", 0.25), entropy=1.5, log_sum_exp=7.0, num_frames=50)
    row |= {"num_real_frames": 40, "range_start_ms": 6000}
    name = commit_run(tmp_path, 1, [row], [video("a.mp4", [row], range_start_ms=6000)])
    (shown,) = content_of(tmp_path).sheets.sample
    assert shown == ShownClip(
        key=shown.key,
        start_ms=6000,
        end_ms=8000,
        labels=(ScoredLabel("left", 0.5), ScoredLabel("right", 0.25)),
        entropy=1.5,
        log_sum_exp=7.0,
        num_frames=50,
        num_real_frames=40,
        content_version="mtime:1.0",
        size_bytes=1000,
    )
    assert shown.key == ("a.mp4", 6000, None, 3, name)


def test_a_label_sheet_has_the_surest_the_median_and_the_least_sure_clips(tmp_path: pathlib.Path) -> None:
    clips = [clip(f"{number}.mp4", 0, ("left", (number + 1) / 10)) for number in range(9)]
    clips += [clip("x.mp4", 0, ("right", 0.5)), clip("x.mp4", 1, ("right", 0.6))]
    commit_run(tmp_path, 1, clips)
    left, right = content_of(tmp_path).sheets.labels
    assert (left.label, left.videos, left.clips) == ("left", 9, 9)
    assert [scores_of(group) for group in (left.surest, left.median, left.least)] == [
        [0.9, 0.8],
        [0.5, 0.4],
        [0.1, 0.2],
    ]
    assert (right.label, right.videos, right.clips) == ("right", 1, 2)
    assert [scores_of(group) for group in (right.surest, right.median, right.least)] == [[0.6], [], [0.5]]


def test_a_group_has_different_videos_where_there_are_enough(tmp_path: pathlib.Path) -> None:
    clips = [clip("a.mp4", index, ("left", 0.99 - index / 100)) for index in range(20)]
    clips += [clip(f"{number}.mp4", 0, ("left", 0.5)) for number in range(4)]
    commit_run(tmp_path / "enough", 1, clips)
    (sheet,) = content_of(tmp_path / "enough").sheets.labels
    for group in (sheet.surest, sheet.median, sheet.least):
        assert len({each.key.video_uri for each in group}) == 2
    one = [clip("a.mp4", index, ("left", 0.9), range_start_ms=index * 2000) for index in range(4)]
    commit_run(tmp_path / "ranges", 1, one, [video("a.mp4", [row], range_start_ms=row["start_ms"]) for row in one])
    sheets = content_of(tmp_path / "ranges", num_labels=0).sheets
    assert len(sheets.sample) == 4
    assert len(sheets.least_certain) == 1  # ranges of one video


def test_the_groups_of_a_sheet_show_different_videos_where_there_are_enough(tmp_path: pathlib.Path) -> None:
    scores = {"1.mp4": (0.9,), "2.mp4": (0.5, 0.1), "3.mp4": (0.8,)}  # the middle one and the last one are of one video
    clips = [clip(uri, index, ("left", each)) for uri, found in scores.items() for index, each in enumerate(found)]
    commit_run(tmp_path / "three", 1, clips)
    (sheet,) = content_of(tmp_path / "three").sheets.labels
    assert [places(group) for group in (sheet.surest, sheet.median, sheet.least)] == [
        [("1.mp4", 0)],
        [("3.mp4", 0)],
        [("2.mp4", 1)],
    ]
    commit_run(tmp_path / "two", 1, clips[:3])
    (sheet,) = content_of(tmp_path / "two").sheets.labels
    assert [places(group) for group in (sheet.surest, sheet.median, sheet.least)] == [
        [("1.mp4", 0)],
        [("2.mp4", 0)],
        [("2.mp4", 1)],
    ]


def test_frequent_labels_come_first_and_share_the_budget(tmp_path: pathlib.Path) -> None:
    clips = [clip(f"{label}{number}.mp4", 0, (label, 0.5)) for label in "dcba" for number in range(4)]
    clips += [clip("c0.mp4", 1, ("c", 0.4)), clip("e.mp4", 0, ("e", 0.5))]
    commit_run(tmp_path, 1, clips)
    sheets = content_of(tmp_path).sheets.labels
    assert [(sheet.label, len(sheet.surest)) for sheet in sheets] == [("c", 2), ("a", 2), ("b", 2), ("d", 2), ("e", 1)]
    sheets = content_of(tmp_path, max_clips=24).sheets.labels  # 40 % are 9
    assert [(sheet.label, len(sheet.surest)) for sheet in sheets] == [("c", 1), ("a", 1), ("b", 1)]
    assert len(content_of(tmp_path, num_labels=2).sheets.labels) == 2


def test_sheets_have_the_order_of_the_labels_of_the_corpus(tmp_path: pathlib.Path) -> None:
    clips = [clip(f"{label}.mp4", index, (label, 0.5)) for label in "bca" for index in range(2)]
    clips += [clip("b.mp4", index, ("b", 0.5), start_ms=0, end_ms=2000) for index in (2, 3)]
    clips.append(clip("c.mp4", 2, ("c", 0.5)))
    commit_run(tmp_path, 1, clips)
    content = content_of(tmp_path)
    order = [share.name for share in content.corpus.labels.largest]
    assert order == ["c", "a", "b"], "all have one video, and c has the longest time"
    assert [sheet.label for sheet in content.sheets.labels] == order


def test_the_least_certain_clips_have_different_videos_and_few_of_each_label(tmp_path: pathlib.Path) -> None:
    clips = [clip(f"a{number}.mp4", 0, ("left", 0.1), entropy=3.0 - number / 10) for number in range(5)]
    clips += [clip("a0.mp4", 1, ("right", 0.1), entropy=2.95), clip("b.mp4", 0, ("right", 0.1), entropy=0.5)]
    clips += [clip("c.mp4", 0, entropy=float("nan")), clip("d.mp4", 0, ("right", 1.0), entropy=0.0)]
    commit_run(tmp_path, 1, clips)
    found = content_of(tmp_path).sheets.least_certain
    assert places(found) == [("a0.mp4", 0), ("a1.mp4", 0), ("a2.mp4", 0), ("b.mp4", 0)]


def test_undecided_clips_have_two_scores_that_are_close(tmp_path: pathlib.Path) -> None:
    pairs = [(0.5, 0.49), (0.4, 0.25), (0.3, 0.285), (0.9, None), (0.6, 0.0)]
    clips = []
    for number, (first, second) in enumerate(pairs):
        others = [] if second is None else [("right", second)]
        clips.append(clip(f"{number}.mp4", 0, ("left", first), *others, entropy=0.0))
    commit_run(tmp_path, 1, clips)
    undecided = content_of(tmp_path, num_labels=0).sheets.undecided
    assert [each.key.video_uri for each in undecided] == ["0.mp4", "2.mp4", "1.mp4"]


def test_unfamiliar_clips_have_a_low_score_and_a_high_log_sum_exp(tmp_path: pathlib.Path) -> None:
    facts = [(0.1, 20.0), (0.9, 21.0), (0.2, 2.0), (0.8, 3.0), (0.15, 19.0), (0.7, 5.0), (0.6, 6.0), (0.05, 1.0)]
    clips = [
        clip(f"{number}.mp4", 0, ("left", score), entropy=0.0, log_sum_exp=height)
        for number, (score, height) in enumerate(facts)
    ]
    commit_run(tmp_path / "logits", 1, clips)
    assert places(content_of(tmp_path / "logits", num_labels=0).sheets.unfamiliar) == [("0.mp4", 0), ("4.mp4", 0)]
    commit_run(tmp_path / "softmax", 1, [row | {"log_sum_exp": 0.0} for row in clips])
    assert content_of(tmp_path / "softmax", num_labels=0).sheets.unfamiliar == ()


def test_undecided_and_unfamiliar_clips_are_not_on_other_sheets_if_there_are_enough(tmp_path: pathlib.Path) -> None:
    commit_run(tmp_path / "large", 1, corpus(200))
    sheets = content_of(tmp_path / "large").sheets
    labels = {each.key for sheet in sheets.labels for each in (*sheet.surest, *sheet.median, *sheet.least)}
    others = [{each.key for each in clips} for clips in (sheets.least_certain, sheets.undecided, sheets.unfamiliar)]
    assert [len(keys) for keys in others] == [24, 12, 12]
    assert not others[1] & (labels | others[0])
    assert not others[2] & (labels | others[0] | others[1])
    margins = [each.labels[0].score - each.labels[1].score for each in sheets.undecided]
    assert margins == sorted(margins)


def test_a_small_output_repeats_undecided_clips_in_their_order(tmp_path: pathlib.Path) -> None:
    facts = [("a", 0.5, 0.49), ("b", 0.5, 0.45), ("c", 0.5, 0.4)]
    clips = [clip(f"{name}.mp4", 0, ("left", first), ("right", second)) for name, first, second in facts]
    clips.append(clip("c.mp4", 1, ("left", 0.5), ("right", 0.41)))
    commit_run(tmp_path, 1, clips)
    sheets = content_of(tmp_path).sheets
    assert places(sheets.labels[0].surest + sheets.labels[0].least + sheets.labels[0].median)
    assert [uri for uri, _ in places(sheets.undecided)] == ["a.mp4", "b.mp4", "c.mp4"]


def test_the_sample_depends_on_the_seed_and_on_nothing_else(tmp_path: pathlib.Path) -> None:
    clips = corpus()
    commit_run(tmp_path / "all", 1, clips)
    kept = [row for row in clips if row["video_uri"] < "030.mp4"]
    commit_run(tmp_path / "some", 1, kept)
    of_all, of_some = (content_of(tmp_path / name, max_clips=1000).sheets.sample for name in ("all", "some"))
    smaller = [place for place in places(of_all) if place[0] < "030.mp4"]
    assert len(of_all) >= 120 and len(smaller) > 20
    num_shared = min(len(of_some), len(smaller))
    assert places(of_some)[:num_shared] == smaller[:num_shared]
    of_few = places(content_of(tmp_path / "all", max_clips=100).sheets.sample)
    assert len(of_few) >= 12 and of_few == places(of_all)[: len(of_few)]
    assert places(content_of(tmp_path / "all", max_clips=1000, seed=1).sheets.sample) != places(of_all)


def test_hashes_are_spread_and_stable() -> None:
    inputs = np.arange(100_000, dtype=np.uint64)
    hashes = seeded_hashes(inputs, 7, np.zeros(len(inputs), np.int64))
    assert len(np.unique(hashes)) == len(inputs)
    counts = np.bincount((hashes >> np.uint64(60)).astype(np.int64), minlength=16)
    assert counts.min() > 5900 and counts.max() < 6600
    assert seeded_hashes(np.array([1, 2], np.uint64), 0).tolist() == [2923253926786533315, 1928105459080260050]


@pytest.mark.parametrize("num_files", [1, 7])
def test_the_content_does_not_depend_on_the_order_of_rows_and_files(tmp_path: pathlib.Path, num_files: int) -> None:
    clips = corpus()
    videos = [
        row | {"status": "partial", "error_code": f"code {number % 3}"} for number, row in enumerate(videos_of(clips))
    ]
    commit_run(tmp_path / "sorted", 1, clips, videos)
    commit_run(tmp_path / "shuffled", 1, clips, videos, num_files=num_files, shuffled=num_files)
    for options in ({}, {"seed": 5, "max_clips": 77}):
        first, second = (content_of(tmp_path / name, **options) for name in ("sorted", "shuffled"))
        assert comparable(first) == comparable(second)
        assert len({each.key for each in first.clips()}) == options.get("max_clips", 200)


def test_the_sample_gets_what_other_sheets_do_not_use(tmp_path: pathlib.Path) -> None:
    clips = [clip(f"{number}.mp4", index, ("left", 0.9), entropy=0.0) for number in range(12) for index in range(9)]
    commit_run(tmp_path, 1, clips)
    for max_clips in (20, 107, 108, 200):
        content = content_of(tmp_path, max_clips=max_clips)
        assert len({each.key for each in content.clips()}) == min(max_clips, 108)
    assert content.sheets.sample[:5] == content_of(tmp_path, max_clips=20).sheets.sample[:5]


@pytest.mark.parametrize("max_clips", [0, 1, 10, 100, 1000])
def test_as_many_clips_are_shown_as_allowed(tmp_path: pathlib.Path, max_clips: int) -> None:
    commit_run(tmp_path, 1, corpus(200, 8))
    requested = tuple(f"{number:03d}.mp4" for number in range(20))
    for videos in ((), requested):
        content = content_of(tmp_path, max_clips=max_clips, videos=videos)
        assert len({each.key for each in content.clips()}) == min(max_clips, 1600)
        assert len(content.timelines) == max(6, len(videos))
    if max_clips == 100:
        sheets = content.sheets
        assert [len(each) for each in (sheets.least_certain, sheets.undecided, sheets.unfamiliar)] == [12, 6, 6]
        assert len(sheets.sample) >= 12
        assert sum(len(each) for sheet in sheets.labels for each in (sheet.surest, sheet.median, sheet.least)) == 39


def test_the_size_of_the_content_does_not_grow_with_the_number_of_clips(tmp_path: pathlib.Path) -> None:
    sizes = []
    for num_videos in (60, 1500):
        output = tmp_path / str(num_videos)
        commit_run(output, 1, corpus(num_videos))
        sizes.append(len(json.dumps(dataclasses.asdict(content_of(output)))))
    assert sizes[1] < 1.2 * sizes[0]


def test_the_shares_of_the_sheets_are_all_there_is() -> None:
    options = ContentOptions(max_clips=100)
    parts = ("labels", "timelines", "sample", "least_certain", "undecided", "unfamiliar")
    assert sum(map(options.share, parts)) == 100
