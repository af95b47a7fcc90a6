"""decode_clips: a video -> the clips that a model takes, as arrays."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Unpack

from reelbeam.pipeline.api.decoded_clip import DecodedClip
from reelbeam.pipeline.api.options import DecodeOptions, checked
from reelbeam.pipeline.api.preparation import errors_of_options, labeler_settings
from reelbeam.pipeline.job.labeler import decoder_config, planner_config
from reelbeam.transforms import storage
from reelbeam.transforms.errors import ConfigError, InvalidInputError
from reelbeam.transforms.labeling.config import DecoderConfig, PlannerConfig
from reelbeam.transforms.labeling.elements import named_video
from reelbeam.transforms.labeling.video_decoder import decode_segment, probe_and_plan
from reelbeam.transforms.media.decoding.stats import DecodeStats
from reelbeam.transforms.models.registry import catalog
from reelbeam.transforms.models.registry.catalog import ModelSpec, Preset
from reelbeam.transforms.records import VideoRef

if TYPE_CHECKING:
    from reelbeam.pipeline.api.model import Model

_PRESET = tuple(field.name for field in dataclasses.fields(Preset))


def decode_clips(
    video: str | os.PathLike[str] | Mapping[str, object],
    *,
    model: str | Model | None = None,
    **options: Unpack[DecodeOptions],
) -> Generator[DecodedClip, None, None]:
    """Yields the clips of a video, in their order, as a model takes them.

        for clip in reelbeam.decode_clips("a.mp4", num_frames=50, target_fps=5, resize=192, size=172):
            print(clip.start_seconds, clip.frames.shape)

    A sandboxed process decodes the video, a few clips ahead of the caller. It ends with the generator: at its end, or
    when it is closed. The clips are those of `label` without `carry_state`, for the model's kind; none depends on
    another. Without a model, they are those of a Base model.

    Args:
      video: a URI, a path, or a dict with `video_uri` and optionally `start_seconds` and `end_seconds`.
      model: a loaded model or the name of one in the catalog, whose preset and kind are used. Without it, the options
        `num_frames`, `target_fps`, `resize` and `size` are required.
      options: see `DecodeOptions`. They have the names and the defaults of the flags of `reelbeam label`.

    Raises:
      TypeError: an option does not exist.
      ConfigError: an option is missing or out of range, options do not fit each other, or decoder processes cannot be
        confined.
      ModelError: the catalog has no such model.
      MediaError: the video cannot be read or decoded. The generator raises it, after all complete clips.
    """
    with errors_of_options():
        values = checked(options, DecodeOptions.__annotations__)
        settings = labeler_settings(_spec(model, values), values)
    named = named_video(video, str(pathlib.Path.cwd()))
    if named.failure is not None:
        raise InvalidInputError(named.failure.message)
    return _decoded(named.video, planner_config(settings), decoder_config(settings))


def _spec(model: str | Model | None, values: Mapping[str, object]) -> ModelSpec:
    """Returns a model that takes the clips, by default a Base model. Raises ConfigError or ModelNotFoundError."""
    given = {name: values[name] for name in _PRESET if values[name] is not None}
    named = catalog.find(model) if isinstance(model, str) else model
    if named is None and (missing := [name for name in _PRESET if name not in given]):
        raise ConfigError(f"{', '.join(missing)} must be given: pass them, or model=")
    try:
        preset = dataclasses.replace(named.preset, **given) if named else Preset(**given)  # type: ignore[arg-type]
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return ModelSpec("", named.kind if named else "base", "", "", preset)


def _decoded(video: VideoRef, planner: PlannerConfig, decoder: DecoderConfig) -> Generator[DecodedClip, None, None]:
    stats = DecodeStats()
    with errors_of_options():
        for segment in probe_and_plan(storage.identified(video), planner, stats).segments:
            for clip in decode_segment(segment, decoder, stats):
                start, end = float(clip.span.start_seconds), float(clip.span.end_seconds)
                yield DecodedClip(clip.span.clip_index, start, end, clip.frames, clip.span.num_real_frames)
