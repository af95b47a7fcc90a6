"""Real videos and the official A0-Base graph, through the whole program, with both engines."""

from __future__ import annotations

import pathlib
import tarfile

import pytest
from duckdb_queries import select

from reelbeam.pipeline.cli import main

FLAGS = "--labels=kinetics-600 --num_frames=50 --target_fps=5 --resize=192 --size=172".split()


@pytest.fixture(scope="module")
def model(shared_dir: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("a0")
    with tarfile.open(shared_dir / "models/movinet_a0_base.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def label(model: pathlib.Path, output: pathlib.Path, *flags: object) -> dict[str, list[dict]]:
    """Returns the rows of the videos and clips tables, in order."""
    assert main(["label", f"--model={model}", f"--output={output}", *FLAGS, *map(str, flags)]) == 0
    return {
        table: select(f"SELECT * FROM '{output}/{table}/*/*.parquet' ORDER BY ALL").to_arrow_table().to_pylist()
        for table in ("videos", "clips")
    }


def assert_same_labels(ours: dict[str, list[dict]], reference: dict[str, list[dict]]) -> None:
    for table in ("videos", "clips"):
        for mine, theirs in zip(ours[table], reference[table], strict=True):
            assert mine["video_uri"] == theirs["video_uri"]
            assert [x["class_id"] for x in mine["labels"]] == [x["class_id"] for x in theirs["labels"]]
            for x, y in zip(mine["labels"], theirs["labels"], strict=True):
                assert x["score"] == pytest.approx(y["score"], abs=1e-6)


@pytest.mark.slow
def test_all_eight_are_ok(model: pathlib.Path, shared_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    tables = label(model, tmp_path, shared_dir / "media")
    assert [row["status"] for row in tables["videos"]] == ["ok"] * 8
    nasa = next(row for row in tables["videos"] if row["video_uri"].endswith("nasa_13013.mp4"))
    assert (nasa["width"], nasa["height"], nasa["num_video_streams"], nasa["num_clips"]) == (480, 270, 2, 2)
    assert sum(row["num_clips"] for row in tables["videos"]) == len(tables["clips"]) == 21


@pytest.mark.slow
def test_both_engines_name_the_same_five_labels(
    model: pathlib.Path, shared_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    video = shared_dir / "media/carving_ice.mp4"
    ours, reference = (label(model, tmp_path / x, video, f"--engine={x}") for x in ("openvino", "tensorflow"))
    assert len(ours["clips"]) == 1
    assert_same_labels(ours, reference)


@pytest.mark.slow
def test_both_engines_agree_on_every_clip_of_all_eight(
    model: pathlib.Path, shared_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    media = shared_dir / "media"
    ours, reference = (label(model, tmp_path / x, media, f"--engine={x}") for x in ("openvino", "tensorflow"))
    assert len(ours["clips"]) == 21
    assert_same_labels(ours, reference)
