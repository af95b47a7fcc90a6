"""The videos that the argument of `label` names."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pytest

from reelbeam.pipeline.api.found_videos import find_videos
from reelbeam.transforms.errors import ConfigError


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder with two videos and other files, which is also the working directory."""
    for name in ("b.mp4", "a.mkv", "notes.txt", "sub/c.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(given: object, folder: pathlib.Path) -> list[str]:
    return sorted(os.path.relpath(video.video_uri, folder) for video in find_videos(given).videos)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("b.mp4", ["b.mp4"]),
        ("notes.txt", ["notes.txt"]),
        ("missing.mp4", ["missing.mp4"]),
        (".", ["a.mkv", "b.mp4", "sub/c.mp4"]),
        ("*.mp4", ["b.mp4"]),
        ("**.mp4", ["b.mp4", "sub/c.mp4"]),
        (pathlib.Path("sub"), ["sub/c.mp4"]),
    ],
    ids=str,
)
def test_a_text_or_a_path_is_expanded_like_an_input(given: object, names: list[str], folder: pathlib.Path) -> None:
    assert found(given, folder) == names


class Row(NamedTuple):
    """An element that is a named tuple."""

    video_uri: str
    end_seconds: float | None = None


@dataclasses.dataclass
class Record:
    """An element that is a dataclass."""

    video_uri: str
    camera: str


@pytest.mark.parametrize("wrap", [lambda element: element, lambda element: [element], lambda element: iter((element,))])
@pytest.mark.parametrize("element", [{"video_uri": "b.mp4", "camera": 3}, Row("b.mp4"), Record("b.mp4", "3")], ids=str)
def test_an_element_may_stand_alone(element: object, wrap: Callable[[object], object], folder: pathlib.Path) -> None:
    assert found(wrap(element), folder) == ["b.mp4"]


@pytest.mark.parametrize(
    "given", [["b.mp4", "*.mp4", "sub"], (pathlib.Path("b.mp4"), "*.mp4", "sub"), {"b.mp4", "*.mp4", "sub"}]
)
def test_elements_are_files(given: object, folder: pathlib.Path) -> None:
    assert found(given, folder) == ["*.mp4", "b.mp4", "sub"]


def test_what_names_one_video_is_one_video(folder: pathlib.Path) -> None:
    (folder / "again").symlink_to(folder / "sub")
    assert found(".", folder) == ["a.mkv", "b.mp4", "sub/c.mp4"]
    named = [
        "b.mp4",
        folder / "b.mp4",
        {"video_uri": "./b.mp4", "camera": "left"},
        {"video_uri": "b.mp4"},
        Row("b.mp4"),
    ]
    (video,) = find_videos(named).videos
    assert video.metadata == (("camera", "left"),)
    ranges = [video.time_range for video in find_videos([Row("b.mp4", 1), Row("b.mp4", 2), Row("b.mp4", 2)]).videos]
    assert sorted(found.end_ms or 0 for found in ranges) == [1000, 2000]


@pytest.mark.parametrize("given", ["*.avi", "empty", "missing-folder", "b.mp4/c"])
def test_nothing_at_a_path_is_an_error_that_names_it(given: str, folder: pathlib.Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(ConfigError, match=f"^{given.replace('*', '.')} matches no video: "):
        find_videos(given)


@pytest.mark.parametrize("given", [[], (), iter([])], ids=["list", "tuple", "iterator"])
def test_no_elements_are_no_videos(given: Any) -> None:
    assert find_videos(given) == ([], [])


def test_elements_that_name_no_video_are_kept_with_the_reason() -> None:
    result = find_videos([{"uri": "b.mp4"}, 7, None, "", {"video_uri": "b.mp4", "start_seconds": -1}])
    assert result.videos == []
    assert [each.failure.code for each in result.rejected if each.failure] == ["invalid_input"] * 5


@pytest.mark.parametrize(
    "given",
    [7, None, b"a.mp4", object(), pd.DataFrame({"video_uri": ["b.mp4"]}), pa.table({"video_uri": ["b.mp4"]})],
    ids=lambda given: type(given).__name__,
)
def test_another_type_is_refused_with_what_to_pass(given: object) -> None:
    with pytest.raises(TypeError, match=rf"videos is of type {type(given).__name__}: pass .+ iterable"):
        find_videos(given)
