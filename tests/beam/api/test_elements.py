"""Elements of other pipelines: which video each names, and what becomes of those that name none."""

from __future__ import annotations

import dataclasses
import decimal
import math
import pathlib
import re
from fractions import Fraction
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pytest

from reelbeam.transforms.labeling.elements import named_video
from reelbeam.transforms.labeling.row_types import ErrorRow, VideoRow
from reelbeam.transforms.labeling.summary import summarize
from reelbeam.transforms.records import LabelerFacts, VideoRef
from reelbeam.transforms.records.time_range import TimeRange

FACTS = LabelerFacts(**dict.fromkeys((field.name for field in dataclasses.fields(LabelerFacts)), "x"))
CAMERA = (("camera", "3"),)


class Recording(NamedTuple):
    """An element with a schema."""

    video_uri: str
    camera: int = 3
    start_seconds: float | None = None


@dataclasses.dataclass
class Upload:
    """An element without a schema."""

    video_uri: str
    camera: int = 3


@pytest.mark.parametrize(
    ("element", "metadata"),
    [
        ("a.mp4", ()),
        (pathlib.Path("a.mp4"), ()),
        ({"video_uri": "a.mp4"}, ()),
        ({"video_uri": pathlib.Path("a.mp4"), "camera": 3}, CAMERA),
        (beam.Row(video_uri="a.mp4", camera=3), CAMERA),
        (Recording("a.mp4"), CAMERA),
        (Upload("a.mp4"), CAMERA),
        ({"video_uri": "a.mp4", "camera": None, "start_seconds": "", "end_seconds": None}, ()),
    ],
    ids=repr,
)
def test_an_element_names_a_video_and_its_metadata(element: object, metadata: tuple[tuple[str, str], ...]) -> None:
    assert named_video(element, "/base") == (VideoRef("/base/a.mp4", metadata=metadata), None)


@pytest.mark.parametrize(
    "start", [2.5, "2.5", np.float32(2.5), np.float64(2.5), decimal.Decimal("2.5"), Fraction(5, 2)], ids=repr
)
def test_a_range_may_be_any_kind_of_number(start: object) -> None:
    element = {"video_uri": "a.mp4", "start_seconds": start, "end_seconds": np.int64(4)}
    assert named_video(element).video.time_range == TimeRange.of(Fraction(5, 2), Fraction(4))


CIRCLE: dict[str, object] = {}
CIRCLE["self"] = CIRCLE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, "a"], '[1, "a"]'),
        ({"b": 1, "a": None}, '{"a": null, "b": 1}'),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        ({1: 3, "a": 4}, "{1: 3, 'a': 4}"),
        (CIRCLE, "{'self': {...}}"),
        (b"x", "b'x'"),
        (math.nan, "nan"),
        (np.float32(1.5), "1.5"),
        ("\ud800", "?"),
        ("x" * 1_000_000, "x" * 1_000_000),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_any_value_is_metadata(value: object, text: str) -> None:
    (found,) = named_video({"video_uri": "a.mp4", "field": value}).video.metadata
    assert found == ("field", text)


def test_names_of_metadata_are_texts_that_tables_accept_and_distinct() -> None:
    found = named_video({"video_uri": "a.mp4", "\ud800": 1, 5: 2, "5": 3}).video.metadata
    assert found == (("5", "3"), ("?", "1"))


NAMELESS: list[object] = [
    None,
    "",
    " ",
    b"a.mp4",
    5,
    1.5,
    math.nan,
    True,
    "a\0b.mp4",
    "\ud800.mp4",
    {},
    {"uri": "a.mp4"},
    {"video_uri": None},
    {"video_uri": b"a.mp4"},
    {"video_uri": ["a.mp4"]},
    beam.Row(uri="a.mp4"),
    ("a.mp4", "b.mp4"),
    ["a.mp4"],
    Recording,
    Upload,
    object(),
    CIRCLE,
]


@pytest.mark.parametrize("element", NAMELESS, ids=range(len(NAMELESS)))
def test_an_element_that_names_no_video_is_a_row_with_its_text(element: object) -> None:
    found = named_video(element, "/base")
    assert found.failure is not None and (found.failure.stage, found.failure.code) == ("list", "invalid_input")
    row, error = VideoRow.of(summarize(found.video, [], 0, (), [found.failure]), FACTS), ErrorRow.of(found.failure)
    assert (row.status, row.video_uri) == ("failed", error.video_uri)
    assert row.video_uri == re.sub(" at 0x[0-9a-f]+", "", repr(element))[:120] and len(error.message) < 500
    for text in (row.video_uri, error.message):
        text.encode()


def test_a_long_element_is_shortened() -> None:
    assert len(named_video({"uri": "x" * 1_000_000}).video.video_uri) == 120


@pytest.mark.parametrize(
    "bounds",
    [
        {"start_seconds": math.nan},
        {"end_seconds": math.inf},
        {"start_seconds": -1},
        {"start_seconds": True},
        {"start_seconds": "soon"},
        {"start_seconds": np.array([1, 2])},
        {"start_seconds": 5, "end_seconds": 4},
        {"start_seconds": 5, "end_seconds": 5},
        {"end_seconds": 10**12},
    ],
    ids=repr,
)
def test_an_element_with_a_wrong_range_keeps_its_uri_and_metadata(bounds: dict[str, Any]) -> None:
    found = named_video({"video_uri": "a.mp4", "camera": 3} | bounds, "/base")
    assert found.video == VideoRef("/base/a.mp4", metadata=CAMERA)
    assert found.failure is not None and found.failure.code == "invalid_input"
    assert all(name in found.failure.message for name in list(bounds)[-1:])


def test_secrets_of_an_address_are_not_in_rows() -> None:
    url = "https://me:pw@host/a.mp4?sig=SECRET"
    for element in ({"video_uri": url, "start_seconds": "x"}, {"uri": url}, [url]):
        found = named_video(element)
        assert found.failure is not None
        rows = (VideoRow.of(summarize(found.video, [], 0, (), [found.failure]), FACTS), ErrorRow.of(found.failure))
        assert "SECRET" not in repr(rows) and "pw" not in repr(rows)
