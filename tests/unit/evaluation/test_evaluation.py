"""All statistics together: what is not defined is null in the JSON, and equal items give equal numbers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import pytest
from judged_factory import judged, simulated

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.evaluation.evaluation import EvaluationOptions, evaluate
from reelbeam.transforms.evaluation.intervals import split_videos
from reelbeam.transforms.evaluation.judged import Judged
from reelbeam.transforms.typed_json import to_json

OPTIONS = EvaluationOptions(num_stored=5, label_order=tuple(map(str, range(12))))
NAN = float("nan")
STRANGE: dict[str, Sequence[Judged]] = {
    "nothing": (),
    "one video": (judged("1", "a", ("a", 0.9)),),
    "no truth": [judged(f"{n}", "", ("a", n / 60)) for n in range(60)],
    "all failed": [judged(f"{n}", "a", failed=True) for n in range(60)],
    "nothing recognized": [judged(f"{n}", "a") for n in range(60)],
    "ties": [judged(f"{n}", "a" if n % 2 else "", ("a", 0.5), ("b", 0.5)) for n in range(60)],
    "scores of 0 and 1": [judged(f"{n}", "a" if n % 3 else "b", ("a", n % 2), ("b", 0)) for n in range(60)],
    "one class": [judged(f"{n}", "a", ("a", 1.0)) for n in range(60)],
    "NaN": [
        dataclasses.replace(judged(f"{n}", "a" if n % 2 else "", ("a", NAN), ("b", NAN)), entropy=NAN, log_sum_exp=NAN)
        for n in range(60)
    ],
    "some NaN": [judged(f"{n}", "a" if n % 2 else "", ("a", NAN if n % 3 else 0.5), ("b", NAN)) for n in range(60)],
    "clips of one video": [judged("1", "a" if n % 2 else "b", ("a", n / 60), clip=n) for n in range(60)],
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_items_have_results_without_nan(name: str) -> None:
    items = STRANGE[name]
    found = evaluate(items, OPTIONS, items)
    document = json.loads(json.dumps(to_json(found), allow_nan=False))
    assert document.keys() == {field.name for field in dataclasses.fields(found)}
    assert document["counts"]["items"] == len(items)


def test_what_is_not_defined_is_null() -> None:
    failed = json.loads(json.dumps(to_json(evaluate(STRANGE["all failed"], OPTIONS))))
    top = failed["accuracy"]["top"][0]
    assert (top["with_failed"]["value"], top["without_failed"]["value"]) == (0.0, None)
    assert failed["per_class"]["mean_precision"] is None
    assert failed["calibration"]["brier_score"] is None
    assert failed["thresholds"]["overall"] == {
        "label": None,
        "cut": None,
        "accepted": 0,
        "right": 0,
        "total": 0,
        "coverage": None,
        "delta": 0.1,
        "more_needed": None,
    }
    assert failed["comparison"] is None
    empty = evaluate((), OPTIONS)
    assert empty.accuracy.top[0].with_failed.value is None
    assert empty.accuracy.top[0].mean_over_classes is None


def test_the_parts_are_of_the_same_items() -> None:
    _, items = simulated(1, 300, 12, 5)
    found = evaluate([*items, judged("x", "1", failed=True), judged("y", "", ("1", 0.9)), judged("z", "1")], OPTIONS)
    assert dataclasses.astuple(found.counts) == (303, 303, 302, 1, 1, 1, 0, 302)
    assert [top.k for top in found.accuracy.top] == [1, 5]
    assert found.accuracy.top[0].with_failed.total == 302
    assert (found.calibration.count, found.thresholds.overall.total) == (300, 301)
    assert found.novelty[0].without_class == 1
    assert sum(each.count for each in found.confusions) == 303 - found.accuracy.top[0].with_failed.hits
    assert found.per_class.average_precision_name == "AP (from top-5)"


def test_equal_items_give_equal_numbers() -> None:
    _, items = simulated(2, 200, 12, 5)
    clips = [
        dataclasses.replace(item, video_uri=f"{n // 4}", clip_index=n % 4, start_ms=n % 4, end_ms=n % 4 + 1)
        for n, item in enumerate(items)
    ]
    assert evaluate(clips, OPTIONS, clips) == evaluate(clips, OPTIONS, clips)
    other = evaluate(clips, dataclasses.replace(OPTIONS, seed=1))
    assert other != evaluate(clips, OPTIONS)
    assert other.is_of_clips
    assert (other.counts.videos, other.counts.sampled, other.calibration.count) == (50, 50, 50)


def test_thresholds_are_judged_on_videos_that_did_not_make_them() -> None:
    items = [judged(f"{n}", "1" if n % 20 else "", ("1", 0.9 if n % 5 else 0.2)) for n in range(1000)]
    found = evaluate(items, dataclasses.replace(OPTIONS, holdout=0.4))
    overall, of_class = found.held_out
    assert found.thresholds.overall.total + overall.coverage.total == 1000
    assert 350 < overall.coverage.total < 450
    assert (overall.label, of_class.label) == (None, "1")
    assert overall.precision.hits == sum(item.is_hit for item in split_videos(items, 0.4, 0)[0])
    assert overall.precision.total == overall.coverage.hits
    assert evaluate(items, OPTIONS).held_out == ()


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="top-5 .* keeps 3"):
        evaluate((), EvaluationOptions(num_stored=3))
    with pytest.raises(ConfigError, match="videos and clips"):
        evaluate([judged("1", "a"), judged("1", "a", clip=0)], OPTIONS)
    with pytest.raises(ConfigError, match="a share of 1"):
        evaluate((), dataclasses.replace(OPTIONS, holdout=1.0))
    with pytest.raises(ConfigError, match="precision 90"):
        evaluate((), dataclasses.replace(OPTIONS, precision=90))
