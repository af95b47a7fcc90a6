"""`label --crops`: rows of wide videos against rows of videos that show only what a crop shows, with both engines."""

from __future__ import annotations

import json
import pathlib
from fractions import Fraction
from typing import Any

import data_generation as generate
import numpy as np
import numpy.typing as npt
import pytest
from duckdb_queries import select
from tiny_stream_model import tiny_model

from reelbeam.pipeline.cli import main

Picture = npt.NDArray[np.uint8]

SIDE, NUM_FRAMES, FPS = 64, 24, 8
DEMO = ["--model=demo", f"--resize={SIDE}", f"--size={SIDE}", "--top_k=100", "--save_logits"]


@pytest.fixture(autouse=True, scope="module")
def conversions(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REELBEAM_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "engine_cache"))
        yield


def part(index: int, number: int) -> Picture:
    """Returns a square in which a bright bar moves, in each part in another way."""
    picture = np.full((SIDE, SIDE, 3), 30 + 20 * number, np.uint8)
    place = index * 2 % (SIDE - 8)
    if number == 0:
        picture[:, place : place + 8] = 220
    elif number == 1:
        picture[SIDE - 8 - place : SIDE - place] = 240
    else:
        picture[20:44, 20:44] = 40 + place * 3
    return picture


def lossless(path: pathlib.Path, width: int, height: int, draw: generate.Draw, **more: Any) -> pathlib.Path:
    return generate.make_video(path, NUM_FRAMES, FPS, width, height, codec="ffv1", pix_fmt="bgr0", draw=draw, **more)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with a video of each part."""
    folder = tmp_path_factory.mktemp("parts")
    for number in range(3):
        lossless(folder / f"{number}.mkv", SIDE, SIDE, lambda index, *_, number=number: part(index, number))
    return folder


def joined(index: int, axis: int) -> Picture:
    return np.concatenate([part(index, number) for number in range(3)], axis=axis)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A video of the parts side by side."""
    path = tmp_path_factory.mktemp("wide") / "wide.mkv"
    return lossless(path, 3 * SIDE, SIDE, lambda index, *_: joined(index, 1))


@pytest.fixture(scope="module")
def high(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A video of the parts below each other."""
    path = tmp_path_factory.mktemp("high") / "high.mkv"
    return lossless(path, SIDE, 3 * SIDE, lambda index, *_: joined(index, 0))


def rows(output: pathlib.Path, *arguments: object) -> list[dict[str, Any]]:
    """Labels videos; returns their clips."""
    assert main(["label", *map(str, arguments), f"--output={output}"]) == 0
    query = f"SELECT * FROM '{output}/clips/*/*.parquet' ORDER BY video_uri, clip_index"
    return select(query).to_arrow_table().to_pylist()


def scores(row: dict[str, Any]) -> npt.NDArray[np.float64]:
    """Returns the scores of all classes by class id."""
    return np.array([each["score"] for each in sorted(row["labels"], key=lambda each: each["class_id"])])


def require_mean(found: list[dict[str, Any]], of_parts: list[dict[str, Any]]) -> None:
    """Asserts that each clip has the mean of the scores of the parts' clips."""
    for index, row in enumerate(found):
        same_time = [scores(each) for each in of_parts if each["clip_index"] == row["clip_index"]]
        assert len(same_time) == 3 and row["clip_index"] == index
        assert not np.allclose(same_time[0], same_time[1]), "the parts have different frames"
        np.testing.assert_allclose(scores(row), np.mean(same_time, axis=0), atol=1e-5)
        log_scores = np.array(row["logits"], np.float64) - row["log_sum_exp"]
        np.testing.assert_allclose(np.exp(log_scores), scores(row), atol=0.02)  # logits are float16
    assert len(found) == len(of_parts) / 3 > 1


@pytest.mark.parametrize("engine", ["openvino", pytest.param("tensorflow", marks=pytest.mark.slow)])
def test_three_crops_give_the_mean_of_the_parts(
    parts: pathlib.Path, wide: pathlib.Path, high: pathlib.Path, tmp_path: pathlib.Path, engine: str
) -> None:
    flags = [*DEMO, f"--engine={engine}"]
    of_parts = rows(tmp_path / "parts", parts, *flags)
    for video in (wide, high):
        require_mean(rows(tmp_path / video.stem, video, *flags, "--crops=three"), of_parts)


def test_each_way_has_rows_and_a_fingerprint_of_its_own(wide: pathlib.Path, tmp_path: pathlib.Path) -> None:
    found = {name: rows(tmp_path / name, wide, *DEMO, f"--crops={name}") for name in ("center", "three", "whole")}
    default = rows(tmp_path / "default", wide, *DEMO)
    assert [row["labels"] for row in default] == [row["labels"] for row in found["center"]]
    documents = {
        name: json.loads(next((tmp_path / name / "runs").glob("*.json")).read_text("utf-8"))
        for name in ("default", *found)
    }
    assert {name: document["configuration"]["crops"] for name, document in documents.items()} == {
        "default": "center", "center": "center", "three": "three", "whole": "whole",
    }  # fmt: skip
    prints = {name: document["sampling_fingerprint"] for name, document in documents.items()}
    assert prints["default"] == prints["center"] and len(set(prints.values())) == 3
    for first, second in [("center", "three"), ("center", "whole"), ("three", "whole")]:
        assert (scores(found[first][0]) != scores(found[second][0])).any()


def test_a_whole_picture_is_one_whose_pixels_are_narrow(tmp_path: pathlib.Path) -> None:
    def encoded(name: str, pixel_aspect_ratio: Fraction | None) -> pathlib.Path:
        return generate.make_video(
            tmp_path / name, NUM_FRAMES, FPS, 3 * SIDE, SIDE, pix_fmt="yuv444p",
            draw=lambda index, *_: joined(index, 1), pixel_aspect_ratio=pixel_aspect_ratio,
        )  # fmt: skip

    squeezed = rows(tmp_path / "whole", encoded("wide.mp4", None), *DEMO, "--crops=whole")
    expected = rows(tmp_path / "center", encoded("narrow.mp4", Fraction(1, 3)), *DEMO)
    assert [row["labels"] for row in squeezed] == [row["labels"] for row in expected]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_a_stream_model_has_a_state_for_each_crop(
    parts: pathlib.Path, wide: pathlib.Path, tmp_path: pathlib.Path, engine: str
) -> None:
    tiny_model(tmp_path / "model")
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    flags = [f"--model={tmp_path}/model", f"--labels={tmp_path}/labels.txt", f"--resize={SIDE}", f"--size={SIDE}"]
    flags += ["--num_frames=8", "--target_fps=8", "--save_logits", f"--engine={engine}"]
    of_parts = rows(tmp_path / "parts", parts, *flags)
    require_mean(rows(tmp_path / "wide", wide, *flags, "--crops=three"), of_parts)


def test_the_report_shows_the_parts(wide: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for name, text in [("three", "the three squares that the model saw are framed"), ("whole", "the model saw all")]:
        rows(tmp_path / name, wide, *DEMO, f"--crops={name}")
        assert main(["report", str(tmp_path / name), "--to", str(tmp_path / f"{name}.html")]) == 0
        assert text in (tmp_path / f"{name}.html").read_text("utf-8")
