"""Labels of the truth and labels of the model: joined by name, and unknown ones are reported."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
import report_factory as factory

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.evaluation.truth.label_names import (
    LabelNames,
    UnknownLabel,
    label_names_of,
    name_labels,
    normalized,
)
from reelbeam.transforms.evaluation.truth.truth_file import TruthFile, TruthRow
from reelbeam.transforms.models.registry.catalog import KINETICS_600, label_file
from reelbeam.transforms.models.registry.label_map import LabelMap, resolve_labels
from reelbeam.transforms.output.report_content.shown_rows import ShownRows
from reelbeam.transforms.output.tables import Output

KINETICS = LabelMap.load(resolve_labels(label_file(KINETICS_600)))
NAMES = LabelNames(KINETICS.labels, "kinetics_600.txt", True)
SOME = LabelNames(["yoga", "archery"], "the labels in the tables", False)


def truth_of(*labels: tuple[str, ...], acceptable: tuple[str, ...] = ()) -> TruthFile:
    return TruthFile(
        "t.csv", "line", tuple(TruthRow(n, f"{n}.mp4", each, acceptable) for n, each in enumerate(labels, 2))
    )


def rows_of(folder: pathlib.Path, **facts: Any) -> ShownRows:
    clips = [
        factory.clip("a.mp4", 0, ("seen", 0.5), ("also; seen", 0.2)),
        factory.clip("a.mp4", 1, ("in a clip only", 0.5)),
    ]
    factory.commit_run(folder, 1, clips, **facts)
    return ShownRows.current(Output.read(str(folder)))


@pytest.mark.parametrize(
    "label",
    [
        *("fencing (sport)", "Fencing (Sport)", "fencing_sport", "FENCING-SPORT", "fencing  sport ", "fencing(sport)"),
        *("fencing\u00a0(sport)", "\uff46encing \uff08sport\uff09", "fencing\u2010sport"),
    ],
)
def test_forms_of_a_label(label: str) -> None:
    assert NAMES.find(label) == "fencing (sport)"


def test_labels_of_kinetics_differ_when_normalized() -> None:
    assert len({normalized(label) for label in KINETICS.labels}) == len(KINETICS.labels) == 600
    assert [NAMES.find(label) for label in KINETICS.labels] == list(KINETICS.labels)
    assert NAMES.separators == ";|"
    assert LabelNames(["a;b"], "", True).separators == "|"


def test_labels_that_differ_in_form_only_are_joined_exactly() -> None:
    names = LabelNames(["A b", "a_b", "c"], "labels.txt", True)
    assert [names.find(label) for label in ("A b", "a_b", "a b", "C", "d")] == ["A b", "a_b", None, "c", None]
    assert set(names.nearest("a b")) == {"A b", "a_b"}


def test_unknown_labels_are_reported_and_removed() -> None:
    truth = truth_of(("archry", "Yoga"), ("archry",), ("zzz",), (), acceptable=("Squat", "zzz"))
    named = name_labels(truth, NAMES)
    assert [row.labels for row in named.rows] == [("yoga",), (), (), ()]
    assert {row.acceptable for row in named.rows} == {("squat",)}
    assert named.only_unknown == {3, 4}
    assert named.unknown == (
        UnknownLabel("zzz", 5, 2, ()),
        UnknownLabel("archry", 2, 2, ("archery",)),
    )
    assert named.renamed == {"Yoga": "yoga", "Squat": "squat"}
    assert [row.video for row in named.rows] == [row.video for row in truth.rows]


def test_two_forms_of_a_label_are_one() -> None:
    assert name_labels(truth_of(("Yoga", "yoga", "YOGA")), NAMES).rows[0].labels == ("yoga",)


def test_numbers_of_classes_are_refused() -> None:
    with pytest.raises(
        ConfigError, match="--truth t.csv: the labels are numbers, such as line 3, 17: write their names"
    ):
        name_labels(truth_of((), ("17",), ("5",)), NAMES)
    assert name_labels(truth_of(("17",)), LabelNames(["17"], "labels.txt", True)).rows[0].labels == ("17",)


def test_unknown_labels_stay_where_the_classes_are_not_known() -> None:
    named = name_labels(truth_of(("squat", "Yoga")), SOME)
    assert named.rows[0].labels == ("squat", "yoga")
    assert [each.label for each in named.unknown] == ["squat"] and not named.only_unknown


def test_the_bundled_label_map_is_recognized(tmp_path: pathlib.Path) -> None:
    names = label_names_of(rows_of(tmp_path, label_map_fingerprint=KINETICS.sha256))
    assert (names.names, names.source, names.is_complete) == (KINETICS.labels, "kinetics_600.txt", True)


def test_a_given_label_map_must_be_that_of_the_run(tmp_path: pathlib.Path) -> None:
    given = LabelMap(("seen", "never seen"), "/data/labels.txt")
    names = label_names_of(rows_of(tmp_path / "a", label_map_fingerprint=given.sha256), given)
    assert (names.names, names.source, names.is_complete) == (given.labels, "labels.txt", True)
    with pytest.raises(ConfigError, match=r"--labels /data/labels.txt is not the label map of the run: .*; pass the"):
        label_names_of(rows_of(tmp_path / "b"), given)


def test_without_a_label_map_the_labels_of_the_tables_are_used(tmp_path: pathlib.Path) -> None:
    names = label_names_of(rows_of(tmp_path))
    assert set(names.names) == {"seen", "also; seen", "in a clip only"}
    assert (names.source, names.is_complete, names.separators) == ("the labels in the tables", False, "|")


def test_runs_with_several_label_maps(tmp_path: pathlib.Path) -> None:
    factory.commit_run(tmp_path, 1, [factory.clip("a.mp4", 0, ("seen", 0.5))])
    factory.commit_run(tmp_path, 2, [factory.clip("b.mp4", 0, ("yoga", 0.5))], label_map_fingerprint=KINETICS.sha256)
    names = label_names_of(ShownRows.current(Output.read(str(tmp_path))))
    assert set(names.names) == {*KINETICS.labels, "seen"}
    assert (names.source, names.is_complete) == ("kinetics_600.txt, the labels in the tables", False)
