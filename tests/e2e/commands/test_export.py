"""Exported models: written by the command, and accepted by `--model` without a hub and without TensorFlow."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable

import numpy as np
import numpy.testing as npt
import pytest
from duckdb_queries import select

from reelbeam.pipeline.cli import main
from reelbeam.transforms.errors import ConfigError, ModelError
from reelbeam.transforms.models.engine import choose_engine
from reelbeam.transforms.models.loading import load_engine, load_stream_engine
from reelbeam.transforms.models.registry import manifest
from reelbeam.transforms.models.registry.catalog import find
from reelbeam.transforms.models.registry.manifest import read_manifest
from reelbeam.transforms.models.registry.saved_model import content_hash

ROOT = pathlib.Path(__file__).resolve().parents[3]
NO_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = sys.modules["tensorflow_hub"] = None
from reelbeam.pipeline.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def exported(tmp_path: pathlib.Path) -> pathlib.Path:
    assert main(["models", "export", "demo", "--to", str(tmp_path / "exported")]) == 0
    return tmp_path / "exported"


@pytest.mark.slow
def test_a_sample_is_labeled_without_tensorflow(
    exported: pathlib.Path, samples_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    output = tmp_path / "labels"
    flags = ["label", "--model=demo", str(samples_dir / "moving_left.mp4"), f"--model={exported}", f"--output={output}"]
    environment = {**os.environ, "REELBEAM_CACHE_DIR": str(tmp_path / "empty")}
    subprocess.run([sys.executable, "-c", NO_TENSORFLOW, *flags], check=True, cwd=ROOT, env=environment)
    (row,) = select(f"SELECT * FROM '{output}/videos/*/*.parquet'").to_arrow_table().to_pylist()
    assert (row["top_label"], row["model"], row["engine"]) == ("moving left", "demo", "openvino")
    assert row["model_fingerprint"] == content_hash(ROOT / "transforms/models/registry/demo")
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["compiled"]  # nothing fetched, nothing converted


def test_an_export_says_what_is_in_it(exported: pathlib.Path) -> None:
    said = read_manifest(exported)
    demo = find("demo")
    assert (said.name, said.kind, said.preset, said.source) == (demo.name, demo.kind, demo.preset, demo.handle)
    assert sorted(said.files) == ["labels.txt", "model.bin", "model.xml"]
    assert {path.name for path in exported.iterdir()} == {*said.files, "reelbeam_model.json"}
    assert [path for path in exported.parent.iterdir() if path.name.startswith(".")] == []


def test_an_export_can_be_exported_again(exported: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert main(["models", "export", str(exported), "--to", str(tmp_path / "again")]) == 0
    assert read_manifest(tmp_path / "again").files == read_manifest(exported).files


def test_a_folder_with_something_in_it_is_left_alone(
    exported: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in exported.iterdir()}
    assert main(["models", "export", "demo", "--to", str(exported)]) == 2
    assert "something is there already" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in exported.iterdir()} == before


def later_format(folder: pathlib.Path) -> None:
    path = folder / manifest.MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": manifest.FORMAT + 1}))


DAMAGES: dict[str, tuple[Callable[[pathlib.Path], object], str]] = {
    "weights": (lambda folder: (folder / "model.bin").write_bytes(b"0" * 100), r"damaged, model\.bin is not what was"),
    "labels": (lambda folder: (folder / "labels.txt").write_text("a\n"), r"damaged, labels\.txt is not what was"),
    "missing": (lambda folder: (folder / "model.xml").unlink(), r"lacks model\.xml"),
    "manifest": (lambda folder: (folder / manifest.MANIFEST).write_text("{"), r"reelbeam_model\.json cannot be read"),
    "empty manifest": (
        lambda folder: (folder / manifest.MANIFEST).write_text(f'{{"format": {manifest.FORMAT}}}'),
        "is damaged",
    ),
    "later format": (later_format, f"of format {manifest.FORMAT + 1}, this version reads {manifest.FORMAT}"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_export_is_refused(
    damage: Callable[[pathlib.Path], object], message: str, exported: pathlib.Path
) -> None:
    spec = read_manifest(exported).to_spec(exported)
    damage(exported)
    with pytest.raises(ModelError, match=message) as caught:
        load_engine(spec, "openvino", 1)
    assert "export the model again" in str(caught.value)


def test_tensorflow_cannot_run_an_export(exported: pathlib.Path) -> None:
    spec = read_manifest(exported).to_spec(exported)
    with pytest.raises(ConfigError, match="only --engine openvino runs"):
        load_engine(spec, "tensorflow", 1)
    assert choose_engine("auto", spec) == "openvino"


def test_auto_asks_this_machine_only_where_the_workers_run_here(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "accel0").touch()
    assert choose_engine("auto", runs_here=False, devices=tmp_path) == "openvino"
    assert choose_engine("tensorflow", runs_here=False, devices=tmp_path) == "tensorflow"
    assert not caplog.text
    asked = choose_engine("auto", devices=tmp_path)
    assert asked == "tensorflow" or "cannot use the accelerator" in caplog.text


@pytest.mark.slow
def test_a_stream_model_is_exported_too(shared_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with tarfile.open(shared_dir / "models" / "movinet_a0_stream.tar.gz") as archive:
        archive.extractall(tmp_path / "a0", filter="data")
    flags = "--labels=kinetics-600 --num_frames=50 --target_fps=5 --resize=192 --size=172".split()
    assert main(["models", "export", str(tmp_path / "a0"), "--to", str(tmp_path / "exported"), *flags]) == 0
    shutil.rmtree(tmp_path / "a0")
    engine = load_stream_engine(read_manifest(tmp_path / "exported").to_spec(tmp_path / "exported"), "openvino", 1)
    frames = np.random.default_rng(2021).integers(0, 256, (2, 50, 172, 172, 3), dtype=np.uint8)[:1]
    logits, _ = engine.classify_next([engine.initial_state()], frames)
    reference = np.load(shared_dir / "models" / "reference_logits.npz")["stream_logits_whole"]
    npt.assert_allclose(logits, reference, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_a_runs_summary_names_the_model(
    exported: pathlib.Path, samples_dir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    video = str(samples_dir / "moving_left.mp4")
    assert main(["label", "--model=demo", video, f"--model={exported}", f"--output={tmp_path / 'labels'}"]) == 0
    (path,) = (tmp_path / "labels/runs").glob("*.json")
    said = json.loads(path.read_text())["model_info"]
    assert said["content_hash"] == content_hash(ROOT / "transforms/models/registry/demo")
    assert (said["handle"], said["engine"], said["precision"]) == (str(exported), "openvino", "float32")
    assert set(said["library_versions"]) == {"openvino", "numpy"}
    assert len(said["label_map_hash"]) == 64
