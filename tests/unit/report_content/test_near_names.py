"""The URIs that someone may have meant."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from reelbeam.transforms.output.report_content.near_names import near_names

MANY = [f"/data/{number // 100:03d}/video_{number:05d}.mp4" for number in range(3000)]


def near(wanted: str, names: list[str]) -> list[str]:
    """Returns the near names; asserts that neither the order of the rows nor their batches matter."""
    found = near_names(wanted, [pa.array(names, pa.string())])
    shuffled = [*names, *names[:10]]
    random.Random(0).shuffle(shuffled)
    middle = len(shuffled) // 2
    assert near_names(wanted, [pa.array(part, pa.string()) for part in (shuffled[:middle], shuffled[middle:])]) == found
    return found


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("s3://b/cookng.mp4", "/data/x/cooking.mp4"),
        ("cooking", "/data/x/cooking.mp4"),
        ("/cooking.mp4/", "/data/x/cooking.mp4"),
        ("/data/vidoe_01234.mp4", "/data/012/video_01234.mp4"),
    ],
)
def test_the_nearest_of_many_names_is_first(wanted: str, expected: str) -> None:
    assert near(wanted, ["/data/x/cooking.mp4", *MANY])[0] == expected


def test_of_names_that_contain_it_the_first_are_given() -> None:
    assert near("video", MANY) == MANY[:3]
    assert near("1", MANY) == [name for name in MANY if "1" in name.rsplit("/", 1)[-1]][:3]


@pytest.mark.parametrize("wanted", ["", "/", "zzzzzzzzz", "[.*", "日本語"])
def test_nothing_is_near(wanted: str) -> None:
    assert near(wanted, MANY) == [] and near(wanted, []) == []
