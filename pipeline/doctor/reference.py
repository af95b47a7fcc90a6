"""The recorded frames and logits in reference.json, and the clip for which logits are recorded.

`python -m tools.make_reference` writes the file.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import importlib.resources
import pathlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from reelbeam.pipeline.doctor.sandboxing import limits_of
from reelbeam.pipeline.doctor.subject import Subject
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.models.engine import EngineName, Precision
from reelbeam.transforms.models.engines.stream import StreamEngine
from reelbeam.transforms.models.loading import load_any_engine
from reelbeam.transforms.models.registry.catalog import CATALOG, DEMO, ModelSpec
from reelbeam.transforms.typed_json import from_json, parse_json

Frames = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]

_BLOCKS = 8
DEMO_CLIP = "growing.mp4"
CLIPS = (DEMO_CLIP, "moving_down.mkv", "moving_right.webm", "rotating_counterclockwise.avi")
"""The bundled clips whose frames are recorded, each of another codec."""


@dataclasses.dataclass(frozen=True)
class RecordedFrames:
    """The frames of the first clip of a bundled video, for the bundled model.

    Attributes:
      video: the name of the file.
      codec: its codec.
      sha256: the digest of the frames.
      means: base64 of the means of 8 x 8 blocks of each frame and channel, as bytes.
    """

    video: str
    codec: str
    sha256: str
    means: str


@dataclasses.dataclass(frozen=True)
class RecordedLogits:
    """The logits of a model.

    Attributes:
      model: its name; "demo" is the bundled one.
      clip: "generated" for `generated_clip`, or the name of a bundled video.
      kind: base or stream.
      num_frames, size: the clip that it takes.
      logits: one number for each class.
    """

    model: str
    clip: str
    kind: str
    num_frames: int
    size: int
    logits: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Reference:
    """What reference.json holds."""

    frames: tuple[RecordedFrames, ...]
    logits: tuple[RecordedLogits, ...]


REFERENCE_FILE = "reference.json"
GENERATED = "generated"


def read_reference() -> Reference:
    """Returns the recorded frames and logits."""
    text = importlib.resources.files(__package__).joinpath(REFERENCE_FILE).read_text("utf-8")
    return from_json(Reference, parse_json(text))


def generated_clip(num_frames: int, size: int) -> Frames:
    """Returns a clip for a model, uint8 [1, T, H, W, 3]: moving stripes, and a growing square in their middle.

    Integer arithmetic makes it, so that it is the same on every machine, whatever a decoder does.
    """
    t, y, x, channel = np.ogrid[:num_frames, :size, :size, :3]
    phase = (x * 512 // size + y * 256 // size + t * 40 + channel * 96) % 512
    stripes = np.minimum(phase, 511 - phase)
    half = size // 8 + t * size // (4 * num_frames)
    inside = (abs(x - size // 2) < half) & (abs(y - size // 2) < half)
    return np.where(inside, 255 - stripes, stripes).astype(np.uint8)[None]


def logits_of(spec: ModelSpec, frames: Frames, engine: EngineName, precision: Precision) -> Logits:
    """Returns the logits of a model for one clip, float32 [C].

    Raises:
      ModelError, ConfigError, InferenceError: the model cannot be loaded or run.
    """
    loaded = load_any_engine(spec, engine, 1, precision)
    if spec.kind == "stream":
        return _stream_logits(loaded, frames)  # type: ignore[arg-type]  # by its kind
    return loaded.classify(frames)[0]  # type: ignore[union-attr]  # by its kind


def _stream_logits(engine: StreamEngine, frames: Frames) -> Logits:
    logits, _ = engine.classify_next([engine.initial_state()], frames)
    return logits[0]


def decoded_clip(video: str, subject: Subject) -> Frames:
    """Returns the first clip of a bundled video for the bundled model, uint8 [1, T, H, W, 3], by the sandboxed decoder.

    Raises:
      MediaError: the video cannot be decoded.
      ConfigError, RunError: no decoder process can be confined or started.
    """
    path = importlib.resources.files("reelbeam.pipeline.demo").joinpath("videos", video)
    assert isinstance(path, pathlib.Path), "this package is installed as an archive"
    limits, preset = limits_of(subject), CATALOG[DEMO].preset
    media = sandboxed.probe(str(path), limits)
    spans = plan_clip_spans(media.duration_seconds, ClipSampling(preset.num_frames, preset.target_fps))[:1]
    clips = sandboxed.decode_clips(str(path), media, spans, Geometry(preset.resize, preset.size), limits)
    return next(frames for _, frames in clips)[None]


def digest_of(frames: Frames) -> str:
    """Returns the digest of frames."""
    return hashlib.sha256(np.ascontiguousarray(frames).tobytes()).hexdigest()


def means_of(frames: Frames) -> str:
    """Returns `RecordedFrames.means` of a clip."""
    _, num_frames, height, width, _ = frames.shape
    blocks = frames.reshape(num_frames, _BLOCKS, height // _BLOCKS, _BLOCKS, width // _BLOCKS, 3)
    return base64.b64encode(blocks.mean(axis=(2, 4)).round().astype(np.uint8).tobytes()).decode()


def largest_difference(means: str, others: str) -> int:
    """Returns the largest difference between block means, from 0 to 255; 255 if their numbers differ."""
    one, other = (np.frombuffer(base64.b64decode(each), np.uint8).astype(int) for each in (means, others))
    return int(np.abs(one - other).max()) if one.shape == other.shape else 255


def deviation(logits: Logits, recorded: Iterable[float]) -> float:
    """Returns the largest difference of logits, as a share of the range of the recorded ones; inf if one is NaN."""
    expected = np.array(list(recorded), np.float32)
    if logits.shape != expected.shape or not np.isfinite(logits).all():
        return float("inf")
    return float(np.abs(logits - expected).max() / (expected.max() - expected.min()))
