"""Untrusted models: their fingerprint, and which paths their files may name."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from slow_cases import fast_first

from reelbeam.pipeline.cli import main
from reelbeam.transforms.errors import LabelMapError, ModelError, NotASavedModelError
from reelbeam.transforms.models.engines.signature_defs import read_signatures
from reelbeam.transforms.models.registry import manifest, saved_model
from reelbeam.transforms.models.registry.catalog import find
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.models.registry.resolver import resolve

ROOT = pathlib.Path(__file__).resolve().parents[3]
DEMO = ROOT / "transforms/models/registry/demo"
FINGERPRINT = saved_model.content_hash(DEMO)
OTHER = "0" * 64


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main([str(argument) for argument in arguments])
    return code, capsys.readouterr().err


@pytest.mark.parametrize("model", fast_first(["demo", DEMO]))
def test_the_model_that_was_demanded_is_run(
    model: object, tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--labels", DEMO / "labels.txt", "--num_frames", 8, "--target_fps", 4, "--resize", 72, "--size", 64]
    video = samples_dir / "growing.mp4"
    for fingerprint in (FINGERPRINT, FINGERPRINT.upper()):
        arguments = ["label", video, "--output", tmp_path / "out", "--model", model, *flags]
        assert run(capsys, *arguments, "--model_fingerprint", fingerprint) == (0, "")
    (name, *_) = sorted((tmp_path / "out/runs").iterdir())
    assert json.loads(name.read_text())["model_fingerprint"] == FINGERPRINT


def test_any_other_model_is_refused(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "label",
        samples_dir / "growing.mp4",
        "--model=demo",
        "--output",
        tmp_path / "out",
        "--model_fingerprint",
    ]
    message = f"is not the model of --model_fingerprint {OTHER}: its fingerprint is {FINGERPRINT}; find out who"
    code, err = run(capsys, *arguments, OTHER)
    assert code == 2 and message in err and not (tmp_path / "out").exists()
    assert run(capsys, *arguments, "12")[0] == 2
    code, err = run(capsys, "models", "export", "demo", "--to", tmp_path / "exported", "--model_fingerprint", OTHER)
    assert code == 2 and message in err and not (tmp_path / "exported").exists()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("exported") / "model"
    assert main(["models", "export", "demo", "--to", str(folder)]) == 0
    return folder


def test_an_exported_model_is_known_by_its_manifest(made: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    digest = saved_model.file_hash(made / manifest.MANIFEST)
    manifest.require_pin(made, digest, "it")
    with pytest.raises(ModelError, match=digest):  # what the manifest says of its origin proves nothing
        manifest.require_pin(made, manifest.content_hash(made), "it")


def names(values: dict[str, Any], name: str) -> None:
    values["files"] = {name: "0" * 64}


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "a device": lambda values: names(values, "/dev/zero"),
    "a file above": lambda values: names(values, "../../secret"),
    "a hidden file": lambda values: names(values, ".secret"),
    "a list of files": lambda values: values.update(files=["/dev/zero"]),
    "a name that is a number": lambda values: values.update(name=7),
    "a kind that is none": lambda values: values.update(kind="../x"),
    "an infinite rate": lambda values: values["preset"].update(target_fps="1/0"),
    "a huge rate": lambda values: values["preset"].update(target_fps=float("inf")),
    "a rate of a billion digits": lambda values: values["preset"].update(target_fps="1e999999999"),
    "a rate of grouped digits": lambda values: values["preset"].update(target_fps="1e9_9_9_9_9_9_9_9_9"),
    "a rate that is not a text": lambda values: values["preset"].update(target_fps=5),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_manifest_names_nothing_else(
    change: Callable[[dict[str, Any]], None], made: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(made, folder)
    values = json.loads((folder / manifest.MANIFEST).read_text())
    change(values)
    (folder / manifest.MANIFEST).write_text(json.dumps(values))
    with pytest.raises(ModelError, match="is damaged"):
        resolve(str(folder))


@pytest.mark.parametrize("name", ["model.bin", "labels.txt"])
@pytest.mark.parametrize("kind", ["a device", "a FIFO"])
def test_a_model_whose_file_never_ends_is_refused(
    name: str, kind: str, made: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(made, folder)
    (folder / name).unlink()
    os.mkfifo(folder / name) if kind == "a FIFO" else (folder / name).symlink_to("/dev/zero")
    with pytest.raises(ModelError, match=f"{name} is not what was exported"):
        resolve(str(folder))


def make_special(kind: str, path: pathlib.Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path) if kind == "a FIFO" else path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    "name", ["saved_model.pb", "fingerprint.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]
)
@pytest.mark.parametrize("kind", ["a device", "a FIFO"])
def test_a_saved_model_whose_file_never_ends_is_refused(
    name: str, kind: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], samples_dir: pathlib.Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(DEMO, folder)
    (folder / "variables").mkdir(exist_ok=True)
    make_special(kind, folder / name)
    flags = ["--labels", DEMO / "labels.txt", "--num_frames", 8, "--target_fps", 4, "--resize", 72, "--size", 64]
    code, err = run(
        capsys, "label", samples_dir / "growing.mp4", "--output", tmp_path / "out", "--model", folder, *flags
    )
    message = f"{folder} is not a SavedModel: it holds {name}, which is not a regular file; pass the folder"
    assert code == 2 and message in err
    # It reads the graph at most, and leaves the rest to the engine.
    plan = ["plan", samples_dir / "growing.mp4", "--output", tmp_path / "out", "--model", folder, *flags]
    assert run(capsys, *plan)[0] == 0


@pytest.mark.parametrize("kind", ["a device", "a FIFO"])
def test_a_graph_that_never_ends_is_not_read(kind: str, tmp_path: pathlib.Path) -> None:
    make_special(kind, tmp_path / "saved_model.pb")
    with pytest.raises(NotASavedModelError, match=r"saved_model\.pb: not a regular file of at most 1073741824 bytes$"):
        read_signatures(tmp_path)


@pytest.mark.parametrize("kind", ["a device", "a FIFO"])
def test_an_exported_model_with_a_file_that_never_ends_and_is_not_named_is_refused(
    kind: str, made: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(made, folder)
    make_special(kind, folder / "init.xml")
    with pytest.raises(ModelError, match=r"is damaged, init\.xml is not a regular file: export the model again$"):
        resolve(str(folder))


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "[]", "null", '{"format": 1, "preset": 3}'])
def test_a_manifest_of_any_text_is_one_error(text: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / manifest.MANIFEST).write_text(text)
    with pytest.raises(ModelError, match="reelbeam_model.json|format"):
        resolve(str(tmp_path))


def test_a_label_file_that_never_ends_is_refused(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (pathlib.Path("/dev/zero"), tmp_path / "fifo"):
        with pytest.raises(LabelMapError, match=r"not a regular file of at most 16777216 bytes; pass --labels FILE"):
            LabelMap.load(path)
    assert find("demo").pin is None
