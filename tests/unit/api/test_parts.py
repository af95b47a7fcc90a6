"""load_model and decode_clips: the parts for arrays."""

from __future__ import annotations

import itertools
import os
import pathlib
from typing import Any

import data_generation as generate
import numpy as np
import processes
import pytest
from tiny_stream_model import tiny_model

import reelbeam
from reelbeam.transforms.media.sandbox import sandboxed

PRESET: dict[str, Any] = {"num_frames": 8, "target_fps": 4, "resize": 72, "size": 64}


@pytest.fixture(scope="module")
def model() -> reelbeam.Model:
    return reelbeam.load_model("demo", top_k=2)


@pytest.mark.usefixtures("no_process_left")
def test_a_model_classifies_what_is_decoded_as_label_does(model: reelbeam.Model, samples_dir: pathlib.Path) -> None:
    video = samples_dir / "moving_left.mp4"
    clips = list(reelbeam.decode_clips(video, model=model))
    labeled = reelbeam.label(video, model="demo", top_k=2, progress=False).clips.to_pylist()
    results = model.classify(clips)
    assert [[label._asdict() for label in found.labels] for found in results] == [row["labels"] for row in labeled]
    assert [round(clip.start_seconds * 1000) for clip in clips] == [row["start_ms"] for row in labeled]
    assert [round(clip.end_seconds * 1000) for clip in clips] == [row["end_ms"] for row in labeled]
    assert [clip.num_real_frames for clip in clips] == [row["num_real_frames"] for row in labeled]
    arrays = np.stack([clip.frames for clip in clips])
    assert arrays.dtype == np.uint8 and arrays.shape[1:] == (8, 64, 64, 3)
    for found, other in zip(results, model.classify(arrays), strict=True):
        assert found.scores.dtype == np.float32 and found.scores.shape == (len(model.labels),)
        np.testing.assert_array_equal(found.scores, other.scores)
        assert found.embedding is None


def test_the_preset_of_a_model_and_the_same_options_give_the_same_frames(samples_dir: pathlib.Path) -> None:
    video = samples_dir / "growing.mp4"
    ways: list[dict[str, Any]] = [{"model": "demo"}, PRESET, {"model": "a0-base", **PRESET}]
    first, *others = ([clip.frames for clip in reelbeam.decode_clips(video, **way)] for way in ways)
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_the_clips_of_a_stream_model_are_those_that_label_gives_it(tmp_path: pathlib.Path) -> None:
    """They lie on a grid of frames, and a video that is shorter than a clip is not repeated."""
    options = tiny_stream_options(tmp_path)
    for name, seconds in (("short.mp4", 3.1), ("rest.mp4", 7.3)):
        video = generate.make_video(tmp_path / name, round(seconds * 10), 10, 64, 48)
        rows = reelbeam.label(video, model=tmp_path / "model", progress=False, **options).clips.to_pylist()
        with reelbeam.load_model(tmp_path / "model", **options) as stream:
            clips = list(reelbeam.decode_clips(video, model=stream))
            found = stream.classify(clips)
        assert [round(clip.start_seconds * 1000) for clip in clips] == [row["start_ms"] for row in rows]
        assert [len(clip.frames) for clip in clips] == [row["num_frames"] for row in rows]
        assert [each.labels[0].score for each in found] == [row["top_score"] for row in rows]


def tiny_stream_options(folder: pathlib.Path) -> dict[str, Any]:
    """Writes a Stream model into a folder, and returns the options that load it."""
    tiny_model(folder / "model")
    (folder / "labels.txt").write_text("a\nb\nc\n")
    return {"num_frames": 25, "target_fps": 5, "resize": 8, "size": 6, "labels": str(folder / "labels.txt")}


def test_a_range_of_a_video_and_a_stride(samples_dir: pathlib.Path) -> None:
    video = {"video_uri": str(samples_dir / "moving_left.mp4"), "start_seconds": 1}
    starts = [clip.start_seconds for clip in reelbeam.decode_clips(video, model="demo", clip_stride_seconds=0.5)]
    assert starts[:3] == [1.0, 1.5, 2.0]


@pytest.mark.usefixtures("no_process_left")
def test_the_decoder_ends_when_the_generator_is_closed(tmp_path: pathlib.Path) -> None:
    film = generate.make_video(tmp_path / "film.mp4", 500, 5, 64, 48)
    clips = reelbeam.decode_clips(film, **PRESET)
    assert [clip.clip_index for clip in itertools.islice(clips, 3)] == [0, 1, 2]
    assert processes.decoders_of(os.getpid())
    clips.close()
    processes.wait_until(lambda: not processes.decoders_of(os.getpid()))
    sandboxed.close_idle()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, reelbeam.ConfigError, "^num_frames, target_fps, resize, size must be given: pass them, or model=$"),
        ({**PRESET, "size": None}, reelbeam.ConfigError, "^size must be given"),
        ({**PRESET, "size": 100}, reelbeam.ConfigError, "^size 100 must not exceed resize 72"),
        ({**PRESET, "num_frames": 0}, reelbeam.ConfigError, "^num_frames"),
        ({**PRESET, "tail_policy": "keep"}, reelbeam.ConfigError, "tail_policy"),
        ({**PRESET, "top_k": 3}, TypeError, "unknown option 'top_k'"),
        ({**PRESET, "target_fp": 3}, TypeError, "did you mean target_fps"),
        ({"model": "a9-base"}, reelbeam.ModelError, "a9-base"),
    ],
    ids=str,
)
def test_wrong_options_of_decoding_are_refused_at_the_call(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        reelbeam.decode_clips("a.mp4", **options)


@pytest.mark.parametrize(
    ("video", "code"),
    [("missing.mp4", "not_found"), ("broken.mp4", "not_a_video"), ({"uri": "a.mp4"}, "invalid_input")],
    ids=str,
)
def test_a_bad_video_raises_the_error_of_its_row(
    video: Any, code: str, samples_dir: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(samples_dir)
    with pytest.raises(reelbeam.MediaError) as caught:
        list(reelbeam.decode_clips(video, model="demo"))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (np.zeros((8, 64, 64, 3), np.uint8), r"clips must be uint8 \[N, T, 64, 64, 3\], not uint8 \[8, 64, 64, 3\]"),
        (np.zeros((2, 8, 64, 64, 3), np.float32), r"clip 0 must be uint8 .+ not float32 \[8, 64, 64, 3\]"),
        (np.zeros((1, 9, 64, 64, 3), np.uint8), r"clip 0 must be uint8 \[8, 64, 64, 3\].+ not uint8 \[9, 64, 64, 3\]"),
        ([np.zeros((8, 64, 64, 3), np.uint8), np.zeros(3, np.uint8)], r"clip 1 must be .+ not uint8 \[3\]"),
        (["a.mp4"], "clip 0 is of type str: pass an array or a DecodedClip"),
    ],
)
def test_other_arrays_are_refused_with_the_wanted_shape(clips: Any, message: str, model: reelbeam.Model) -> None:
    with pytest.raises(ValueError, match=message):
        model.classify(clips)


def test_no_clips_have_no_results(model: reelbeam.Model) -> None:
    assert model.classify([]) == []
    assert model.classify(np.zeros((0, 8, 64, 64, 3), np.uint8)) == []


def test_embeddings_if_asked(model: reelbeam.Model) -> None:
    (found,) = model.classify(np.zeros((1, 8, 64, 64, 3), np.uint8), with_embeddings=True)
    assert found.embedding is not None and found.embedding.dtype == np.float32 and found.embedding.ndim == 1


def test_a_closed_model_says_so_and_another_of_its_kind_still_works() -> None:
    nothing = np.zeros((1, 8, 64, 64, 3), np.uint8)
    with reelbeam.load_model("demo") as other, reelbeam.load_model("demo", top_k=1) as closed:
        closed.close()
        closed.close()
        assert repr(closed) == "Model(demo, 9 labels, closed)"
        with pytest.raises(ValueError, match="the model is closed"):
            closed.classify(nothing)
        assert len(other.classify(nothing)[0].labels) == 5


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("demo", {"tail_policy": "drop"}, TypeError, "unknown option 'tail_policy'"),
        ("demo", {"top_k": 0}, reelbeam.ConfigError, "^top_k"),
        ("no-such-model", {}, reelbeam.ModelError, "no-such-model"),
        (7, {}, reelbeam.ConfigError, "^model is 7: it must be a name"),
    ],
    ids=str,
)
def test_wrong_options_of_a_model_are_refused(
    name: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        reelbeam.load_model(name, **options)


def test_each_clip_of_a_stream_model_starts_from_an_empty_state(tmp_path: pathlib.Path) -> None:
    with reelbeam.load_model(tmp_path / "model", **tiny_stream_options(tmp_path)) as model:
        assert model.kind == "stream"
        clips = np.random.default_rng(0).integers(0, 255, (3, 25, 6, 6, 3), np.uint8)
        together = model.classify(clips)
        for clip, found in zip(clips, together, strict=True):
            np.testing.assert_array_equal(model.classify(clip[None])[0].scores, found.scores)
        assert len(model.classify(clips[:, :7])) == 3  # any number of frames
