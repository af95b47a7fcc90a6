"""Labels that are neither right nor wrong: accuracy does not count them as right, and all else leaves them out."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
import report_factory as factory
from judged_factory import judged, of_best

from reelbeam.transforms.evaluation.accuracy import accuracy
from reelbeam.transforms.evaluation.calibration import calibration
from reelbeam.transforms.evaluation.confusions import confusions
from reelbeam.transforms.evaluation.evaluated_output import EvaluationRequest, evaluate_output
from reelbeam.transforms.evaluation.evaluation import EvaluationOptions, evaluate
from reelbeam.transforms.evaluation.judged import Judged
from reelbeam.transforms.evaluation.per_class import ClassResult, per_class
from reelbeam.transforms.evaluation.thresholds import judge, thresholds
from reelbeam.transforms.evaluation.truth_checks import check_truth
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.output.report_content.shown_rows import ShownRows
from reelbeam.transforms.output.tables import Output
from reelbeam.transforms.typed_json import json_object


def accepting(item: Judged, *labels: str) -> Judged:
    return dataclasses.replace(item, acceptable=frozenset(labels))


ITEMS = (
    judged("1", "a", ("a", 0.9), ("b", 0.1)),
    accepting(judged("2", "a", ("b", 0.95), ("c", 0.05)), "b"),  # undecided
    judged("3", "b", ("b", 0.8), ("a", 0.2)),
    accepting(judged("4", "", ("b", 0.7), ("a", 0.3)), "b"),  # undecided, and none of the classes
    judged("5", "a", ("b", 0.6), ("a", 0.4)),
)


def by_label(items: tuple[Judged, ...]) -> dict[str, ClassResult]:
    return {each.label: each for each in per_class(items, 2, None).classes}


def test_accuracy_does_not_count_them_as_right() -> None:
    assert [item.is_undecided for item in ITEMS] == [False, True, False, True, False]
    (top,) = accuracy(ITEMS, [1]).top
    assert (top.with_failed.hits, top.with_failed.total) == (2, 4)


def test_precision_leaves_them_out_and_recall_does_not() -> None:
    found = by_label(ITEMS)
    assert (found["b"].predictions, found["b"].precision.hits, found["b"].precision.total) == (2, 1, 2)
    assert (found["a"].support, found["a"].recall.hits) == (3, 1)


def test_average_precision_leaves_them_out() -> None:
    without = by_label(tuple(item for item in ITEMS if not item.is_undecided))
    assert by_label(ITEMS)["b"].average_precision == without["b"].average_precision == 1.0
    strict = tuple(dataclasses.replace(item, acceptable=frozenset()) for item in ITEMS)
    assert by_label(strict)["b"].average_precision == 0.5
    low = accepting(judged("6", "a", ("a", 0.85), ("c", 0.15)), "b")  # "b" is not stored
    assert by_label((*ITEMS, low))["b"].average_precision == 1.0


def test_they_are_not_confusions_and_not_suspects() -> None:
    assert [(each.truth, each.said, each.count) for each in confusions(ITEMS)] == [("a", "b", 1)]
    assert check_truth(ITEMS, 2).num_suspects == 0
    strict = [dataclasses.replace(item, acceptable=frozenset()) for item in ITEMS]
    assert check_truth(strict, 2).num_suspects == 1


def test_calibration_and_thresholds_leave_them_out() -> None:
    right = of_best(np.full(100, 0.9), np.ones(100, bool))
    undecided = tuple(accepting(judged(f"u{n}", "z", ("a", 0.9)), "a") for n in range(100))
    items = (*right, *undecided)
    assert calibration(items) == calibration(right)
    found = thresholds(items, 0.9)
    assert found == thresholds(right, 0.9) and found.overall.cut is not None
    assert judge(found, items) == judge(found, right)
    assert evaluate(items, EvaluationOptions(5)).counts.undecided == 100


def test_a_whole_evaluation_has_all_classes_of_the_model(tmp_path: pathlib.Path) -> None:
    labels = LabelMap(("a", "b", "c", "never said"))
    clips = [factory.clip(f"/v/{n}.mp4", 0, (label, 0.75), ("c", 0.25)) for n, label in enumerate("aab")]
    videos = [
        factory.video(row["video_uri"], [row], labels=[each | {"max_score": each["score"]} for each in row["labels"]])
        for row in clips
    ]
    run: dict[str, Any] = {"label_map_fingerprint": labels.sha256, "configuration": {"top_k": 2}}
    factory.commit_run(tmp_path / "out", 1, clips, videos, **run)
    truth = tmp_path / "truth.csv"
    truth.write_text("file,label,also_acceptable\n0.mp4,a,\n1.mp4,c,a\n2.mp4,a,\n", "utf-8")
    rows = ShownRows.current(Output.read(str(tmp_path / "out")))
    found = evaluate_output(rows, EvaluationRequest(str(truth), labels))
    assert [top.k for top in found.videos.accuracy.top] == [1, 2] and found.evaluated.num_stored == 2
    assert (found.videos.counts.undecided, found.videos.accuracy.top[0].with_failed.hits) == (1, 1)
    classes = {each.label: each for each in found.videos.per_class.classes}
    assert list(classes) == ["a", "c", "b", "never said"]
    absent = classes["never said"]
    assert (absent.support, absent.recall.value, absent.precision.value, absent.average_precision) == (
        0,
        None,
        None,
        None,
    )
    assert found.videos.per_class.num_with_truth == 2
    assert json_object(found)["format_version"] == 1
