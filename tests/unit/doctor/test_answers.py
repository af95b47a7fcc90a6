"""Frames and logits are compared with the recorded ones: real decoders, both engines, changed weights."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil

import numpy as np
import pytest

from reelbeam.pipeline.doctor import answers, reference
from reelbeam.pipeline.doctor.subject import Subject
from reelbeam.transforms.models.registry import resolver
from reelbeam.transforms.models.registry.catalog import CATALOG, ModelSpec

DEMO = CATALOG["demo"]


def changed_demo(folder: pathlib.Path, share: float) -> ModelSpec:
    """Returns a copy of the bundled model whose weights differ by a share of themselves, each up or down."""
    shutil.copytree(resolver.resolve(DEMO.handle), folder)
    path = folder / "variables" / "variables.data-00000-of-00001"
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(1)
    end = len(data) // 4 * 4
    numbers = np.frombuffer(bytes(data[:end]), np.float32).copy()
    weights = np.isfinite(numbers) & (np.abs(numbers) > 1e-6) & (np.abs(numbers) < 1e6)
    numbers[weights] *= 1 + share * rng.choice([-1, 1], weights.sum())
    data[:end] = numbers.tobytes()
    path.write_bytes(data)
    return dataclasses.replace(DEMO, handle=str(folder))


def test_bundled_clips_give_the_recorded_frames() -> None:
    found = answers.check_decoder(Subject())
    assert found.status == "ok" and "vp9" in found.found


def test_other_frames_are_an_error_and_rounding_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def off_by(amount: int) -> str:
        def decoded(video: str, subject: Subject) -> reference.Frames:
            frames = reference.decoded_clip(video, subject).astype(int)
            return np.clip(frames + amount, 0, 255).astype(np.uint8)

        monkeypatch.setattr(answers, "decoded_clip", decoded)
        return answers.check_decoder(Subject()).status

    assert (off_by(0), off_by(1), off_by(9)) == ("ok", "ok", "error")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_bundled_model_gives_the_recorded_logits(precision: str) -> None:
    found = answers.check_demo(Subject(precision=precision))  # type: ignore[arg-type]
    assert found.status == "ok" and precision in found.found


def test_a_gpu_may_round_but_the_weights_are_tested_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answers._trials("tensorflow", "float32") == [("tensorflow", "float32", 1e-4)]
    monkeypatch.setattr(answers, "accelerator_visible", lambda: True)
    first, second = answers._trials("tensorflow", "float32")
    assert first == ("openvino", "float32", 1e-4) and second == ("tensorflow", "float32", 0.05)


@pytest.mark.slow  # imports TensorFlow
def test_tensorflow_gives_them_too() -> None:
    assert answers.check_demo(Subject(engine="tensorflow")).status == "ok"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_weights_that_a_thousandth_changed_are_found(tmp_path: pathlib.Path, precision: str) -> None:
    spec = changed_demo(tmp_path / "changed", 1e-3)
    subject = Subject(precision=precision)  # type: ignore[arg-type]
    bundled = answers.judge_demo(spec, subject)
    assert bundled.status == "error" and "pip install" in bundled.remedy
    copied = answers.judge_model(dataclasses.replace(spec, name=spec.handle), subject)
    assert copied.status == "error" and "fetch" in copied.remedy


def test_another_model_is_not_compared(tmp_path: pathlib.Path) -> None:
    spec = dataclasses.replace(changed_demo(tmp_path / "other", 0.7), name="retrained")
    found = answers.judge_model(spec, Subject())
    assert found.status == "ok" and "no logits are recorded" in found.found


def test_a_model_that_is_not_here_is_a_warning(hub_cache: pathlib.Path) -> None:
    flags = ("labels", "num_frames", "target_fps", "resize", "size", "model_fingerprint")
    values = (*((name, None) for name in flags), ("output_activation", "auto"))
    found = answers.check_model(Subject(model="a0-base", model_flags=values))
    assert (found.status, found.remedy) == ("warning", "run `reelbeam models fetch a0-base`")


@pytest.mark.slow  # converts a model
@pytest.mark.parametrize("kind", ["base", "stream"])
def test_real_weights_give_the_recorded_logits(kind: str, shared_dir: pathlib.Path) -> None:
    archive = shared_dir / "models" / f"movinet_a0_{kind}_k600.tar.gz"
    if not archive.exists():
        pytest.skip(f"{archive} is absent")
    preset = CATALOG["a0-base"].preset
    spec = ModelSpec("mine", "stream" if kind == "stream" else "base", str(archive), "", preset)
    found = answers.judge_model(spec, Subject(precision="bfloat16"))
    assert found.status == "ok" and f"movinet-a0-{kind}-mobile" in found.found


def test_the_generated_clip_is_always_the_same() -> None:
    clip = reference.generated_clip(8, 64)
    assert (clip.shape, clip.dtype) == ((1, 8, 64, 64, 3), np.uint8)
    assert reference.digest_of(clip)[:16] == "4645df033105fa4b"


def test_logits_that_are_not_numbers_deviate_without_limit() -> None:
    recorded = (0.0, 1.0)
    assert reference.deviation(np.array([0.0, np.nan], np.float32), recorded) == float("inf")
    assert reference.deviation(np.array([0.0], np.float32), recorded) == float("inf")
    assert reference.deviation(np.array([0.5, 1.0], np.float32), recorded) == 0.5
