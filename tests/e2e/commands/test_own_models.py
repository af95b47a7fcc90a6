"""Custom models, from the command line to the rows: how their outputs are interpreted."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from fractions import Fraction
from typing import Any

import pytest
from duckdb_queries import select
from model_hub import Hub, content, make_archive, whole

from reelbeam.pipeline.cli import main
from reelbeam.transforms.models.registry import catalog

pytestmark = pytest.mark.slow  # whole runs

PRESET = ["--num_frames=2", "--target_fps=2", "--resize=8", "--size=8"]


@pytest.fixture(scope="module")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A model whose graph ends in a softmax, and that answers "yes" with a score of 1.000 for every clip."""
    import tensorflow as tf

    class Sure(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None, None, None, 3], tf.float32, name="image")])
        def run(self, image: Any) -> Any:
            means = tf.reduce_mean(image, axis=[1, 2, 3])
            return {"scores": tf.nn.softmax(means * 0.0 + tf.constant([20.0, 0.0, 0.0]))}

    folder = tmp_path_factory.mktemp("own") / "model"
    model = Sure()
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.run})
    (folder.parent / "labels.txt").write_text("yes\nno\nmaybe\n")
    return folder


def label(model: pathlib.Path, output: pathlib.Path, video: pathlib.Path, *flags: str) -> dict[str, Any]:
    """Labels a video; returns the run's JSON."""
    known = set(output.glob("runs/*.json"))
    flags = (f"--model={model}", f"--labels={model.parent / 'labels.txt'}", *PRESET, *flags)
    assert main(["label", str(video), f"--output={output}", *flags]) == 0
    (run,) = set(output.glob("runs/*.json")) - known
    summary: dict[str, Any] = json.loads(run.read_text())
    return summary


def test_rows_say_what_the_outputs_were_read_as_and_do_not_mix(
    own_model: pathlib.Path, samples_dir: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = samples_dir / "growing.mp4"
    first = label(own_model, tmp_path / "out", video)
    assert "knows nine motions" not in capsys.readouterr().out
    assert (first["output_activation"], first["configuration"]["output_activation"]) == ("softmax", "auto")
    assert first["model_info"]["output_activation"] == "softmax"
    again = label(own_model, tmp_path / "out", video, "--output_activation=softmax")
    assert again["skipped"] == {"already_labeled": 1}
    other = label(own_model, tmp_path / "out", video, "--output_activation=logits")
    assert (other["output_activation"], other["selected"]) == ("logits", {"new": 1})
    rows = select(
        "SELECT output_activation, top_label, round(top_score::DOUBLE, 2) "
        f"FROM '{tmp_path}/out/videos/*/*.parquet' ORDER BY 1"
    ).fetchall()
    assert rows == [("logits", "yes", 0.58), ("softmax", "yes", 1.0)]
    assert main(["verify", str(tmp_path / "out")]) == 0


def test_the_address_of_a_catalog_model_is_reported(
    own_model: pathlib.Path,
    samples_dir: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("REELBEAM_CACHE_DIR", str(tmp_path / "cache"))
    hub = Hub()
    second = hub.serve("/kaggle/a0", whole(make_archive(content(own_model))))
    own: dict[str, Any] = {
        "handle": f"{hub.url}/tfhub/a0",
        "mirrors": (second,),
        "labels": str(own_model.parent / "labels.txt"),
    }
    spec = dataclasses.replace(catalog.find("a0-base"), **own, preset=catalog.Preset(2, Fraction(2), 8, 8))
    monkeypatch.setitem(catalog.CATALOG, "a0-base", spec)
    flags = ["--model=a0-base", f"--output={tmp_path / 'out'}"]
    assert main(["label", str(samples_dir / "growing.mp4"), *flags]) == 0
    hub.stop()
    assert f"no model at {spec.handle}: HTTP 404" in caplog.text
    assert f"the model was fetched from {second} instead" in caplog.text
    (run,) = (tmp_path / "out").glob("runs/*.json")
    summary = json.loads(run.read_text())
    assert summary["model_info"]["handle"] == second
    assert (summary["model"], summary["configuration"]["model_handle"]) == ("a0-base", spec.handle)


def test_an_export_keeps_what_the_flag_said(
    own_model: pathlib.Path, samples_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    labels = f"--labels={own_model.parent / 'labels.txt'}"
    export = ["models", "export", str(own_model), "--to", str(tmp_path / "exported"), labels, *PRESET]
    assert main([*export, "--output_activation=sigmoid"]) == 0
    flags = [f"--model={tmp_path / 'exported'}", f"--output={tmp_path / 'out'}"]
    assert main(["label", str(samples_dir / "growing.mp4"), *flags]) == 0
    rows = select(f"SELECT output_activation, top_label FROM '{tmp_path}/out/videos/*/*.parquet'").fetchall()
    assert rows == [("sigmoid", "yes")]
