"""Real videos and the official A0-Base graph, through the whole program, with both engines."""

from __future__ import annotations

import pathlib
import tarfile

import duckdb
import pytest

from pipeline.cli import main

FLAGS = "--labels=kinetics-600 --num_frames=50 --target_fps=5 --resize=192 --size=172".split()


@pytest.fixture(scope="module")
def tables(shared_dir: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict]]:
    folder = tmp_path_factory.mktemp("official")
    with tarfile.open(shared_dir / "models/movinet_a0_base.tar.gz") as archive:
        archive.extractall(folder / "a0", filter="data")
    found = {}
    for engine in ("openvino", "tensorflow"):
        flags = [*FLAGS, f"--model={folder}/a0", f"--engine={engine}", f"--output={folder}/{engine}"]
        assert main(["label", str(shared_dir / "media"), *flags, "--clips_per_video=2"]) == 0
        query = f"SELECT * FROM '{folder}/{engine}/{{}}/*/*.parquet' ORDER BY ALL"
        for table in ("videos", "clips"):
            found[f"{engine}/{table}"] = duckdb.sql(query.format(table)).to_arrow_table().to_pylist()
    return found


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_all_eight_are_ok(tables: dict[str, list[dict]], engine: str) -> None:
    rows = tables[f"{engine}/videos"]
    assert [row["status"] for row in rows] == ["ok"] * 8
    nasa = next(row for row in rows if row["video_uri"].endswith("nasa_13013.mp4"))
    assert (nasa["width"], nasa["height"], nasa["num_video_streams"]) == (480, 270, 2)


@pytest.mark.parametrize("table", ["videos", "clips"])
def test_both_engines_name_the_same_five_labels(tables: dict[str, list[dict]], table: str) -> None:
    pairs = list(zip(tables[f"openvino/{table}"], tables[f"tensorflow/{table}"], strict=True))
    assert len(pairs) >= 8
    for ours, reference in pairs:
        assert ours["video_uri"] == reference["video_uri"]
        assert [x["class_id"] for x in ours["labels"]] == [x["class_id"] for x in reference["labels"]]
        for mine, theirs in zip(ours["labels"], reference["labels"], strict=True):
            assert mine["score"] == pytest.approx(theirs["score"], abs=1e-5)
