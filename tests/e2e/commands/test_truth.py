"""The real models on real clips whose class is known, with both engines, through the command line."""

from __future__ import annotations

import json
import pathlib
import tarfile
from typing import Any

import av
import data_generation as generate
import numpy as np
import pytest
from duckdb_queries import select

from reelbeam.pipeline.cli import main

pytestmark = pytest.mark.slow  # real models

FLAGS = "--labels=kinetics-600 --num_frames=50 --target_fps=5 --resize=192 --size=172".split()
SURE = {
    "brushing_teeth_1.avi": "brushing teeth",
    "fencing_sport_1.avi": "fencing (sport)",
    "using_segway_1.mp4": "using segway",
    "javelin_throw_2.avi": "javelin throw",
    "juggling_balls_1.mp4": "juggling balls",
    "pole_vault_1.avi": "pole vault",
    "shot_put_1.avi": "shot put",
    "rock_climbing_2.avi": "rock climbing",
    "hammer_throw_1.avi": "hammer throw",
    "climbing_a_rope_2.avi": "climbing a rope",
    "carving_ice_1.mp4": "carving ice",
    "arm_wrestling_1.mp4": "arm wrestling",
}
"""Clips of whose label both models are sure, in decoders and codecs of all kinds."""


class Labeled:
    """The outputs of a model: of all clips with OpenVINO, and of the sure ones with TensorFlow, made when needed."""

    def __init__(self, name: str, shared: pathlib.Path, folder: pathlib.Path) -> None:
        self.name = name
        self._clips = shared / "clips"
        self._folder = folder
        with tarfile.open(shared / f"models/movinet_a0_{name}_k600.tar.gz") as archive:
            archive.extractall(self.model, filter="data")

    @property
    def model(self) -> pathlib.Path:
        """The folder of the model."""
        return self._folder / "model"

    def output(self, engine: str) -> pathlib.Path:
        """Returns the output of an engine."""
        output = self._folder / engine
        if not output.exists():
            inputs = [self._clips] if engine == "openvino" else [self._clips / name for name in SURE]
            flags = [f"--model={self.model}", f"--output={output}", f"--engine={engine}", *FLAGS]
            assert main(["label", *map(str, inputs), *flags]) == 0
        return output

    def videos(self, engine: str) -> dict[str, dict[str, Any]]:
        """Returns the rows of the videos by file name."""
        rows = select(f"SELECT * FROM '{self.output(engine)}/videos/*/*.parquet'").to_arrow_table().to_pylist()
        return {row["video_uri"].rsplit("/", 1)[-1]: row for row in rows}


@pytest.fixture(scope="module")
def labeled(
    request: pytest.FixtureRequest, shared_dir: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> Labeled:
    if not (shared_dir / "clips/truth.csv").is_file():
        pytest.skip(f"{shared_dir}/clips has no clips of known classes")
    return Labeled(request.param, shared_dir, tmp_path_factory.mktemp(request.param))


both_models = pytest.mark.parametrize("labeled", ["base", "stream"], indirect=True, scope="module")


@both_models
def test_most_clips_get_their_label(
    labeled: Labeled, shared_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = labeled.output("openvino")
    capsys.readouterr()
    assert main(["evaluate", str(output), "--truth", str(shared_dir / "clips/truth.csv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["truth"]["matched"], found["truth"]["unknown_labels"]) == (70, [])
    assert (found["has_all_labels"], len(found["videos"]["per_class"]["classes"])) == (True, 600)
    assert found["videos"]["counts"]["failed"] == 0
    top_1, top_5 = (each["with_failed"] for each in found["videos"]["accuracy"]["top"])
    assert top_1["total"] == top_5["total"] == 64
    assert top_1["value"] >= 0.80
    assert top_5["value"] >= 0.94


@both_models
def test_sure_clips_get_their_label_from_both_engines(labeled: Labeled) -> None:
    ours, reference = labeled.videos("openvino"), labeled.videos("tensorflow")
    assert {name: ours[name]["top_label"] for name in SURE} == SURE
    assert reference.keys() == SURE.keys()
    for name, row in reference.items():
        mine = {each["label"]: each["score"] for each in ours[name]["labels"]}
        assert next(iter(mine)) == row["top_label"], name
        for each in row["labels"]:
            if each["score"] > 1e-3:
                assert mine[each["label"]] == pytest.approx(each["score"], abs=1e-4), name


@both_models
def test_each_clip_of_a_film_of_several_actions_gets_the_label_of_its_own(
    labeled: Labeled, shared_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    scenes = list(SURE)[1:6]
    pictures = np.concatenate([ten_seconds(shared_dir / "clips" / name) for name in scenes])
    film = generate.make_video(tmp_path / "film.mp4", 250, 5, 320, 240, draw=lambda k, w, h: pictures[k])
    flags = [f"--model={labeled.model}", f"--output={tmp_path / 'out'}", *FLAGS]
    assert main(["label", str(film), *flags]) == 0
    rows = select(f"SELECT top_label FROM '{tmp_path}/out/clips/*/*.parquet' ORDER BY clip_index").fetchall()
    assert rows == [(SURE[name],) for name in scenes]


def ten_seconds(video: pathlib.Path) -> np.ndarray:
    """Returns pictures of a video at 5 fps, uint8 [50, 240, 320, 3]; a short video loops."""
    with av.open(str(video)) as container:
        step = round((container.streams.video[0].average_rate or 25) / 5)
        frames = [frame.to_ndarray(width=320, height=240, format="rgb24") for frame in container.decode(video=0)]
    return np.stack((frames[::step] * 50)[:50])
