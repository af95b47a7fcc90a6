"""Clips of real videos for measurements of models, and the models of a command line."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from reelbeam.transforms.models.registry import catalog
from reelbeam.transforms.models.registry.catalog import ModelSpec, Preset


def real_clips(videos: list[Path], preset: Preset, most: int) -> npt.NDArray[np.uint8]:
    """Returns consecutive clips of the videos, in order.

    Returns:
      uint8 [N, T, H, W, 3], N at most `most`.
    """
    clips: list[npt.NDArray[np.uint8]] = []
    for path in videos:
        frames: list[npt.NDArray[np.uint8]] = []
        for frame in frames_at(path, preset):
            frames.append(frame)
            if len(frames) == preset.num_frames:
                clips.append(np.stack(frames))
                frames = []
            if len(clips) == most:
                return np.stack(clips)
    return np.stack(clips)


def frames_at(path: Path, preset: Preset) -> Iterator[npt.NDArray[np.uint8]]:
    """Yields pictures at the preset's frame rate, scaled and center-cropped."""
    with av.open(str(path)) as container:
        wanted = 0.0
        for frame in container.decode(video=0):
            if frame.time is None or frame.time < wanted:
                continue
            wanted += float(1 / preset.target_fps)
            scale = preset.resize / min(frame.width, frame.height)
            width, height = round(frame.width * scale), round(frame.height * scale)
            picture = frame.reformat(width, height, "rgb24").to_ndarray().astype(np.uint8, copy=False)
            top, left = (height - preset.size) // 2, (width - preset.size) // 2
            yield picture[top : top + preset.size, left : left + preset.size]


def named_models(arguments: list[str]) -> Iterator[ModelSpec]:
    """Yields the models for arguments such as a0-base or a0-base=FOLDER.

    Raises:
      argparse.ArgumentTypeError: no such model.
    """
    for argument in arguments:
        name, _, folder = argument.partition("=")
        if name not in catalog.CATALOG:
            raise argparse.ArgumentTypeError(f"no model is called {name}: there are {', '.join(catalog.CATALOG)}")
        spec = catalog.CATALOG[name]
        yield dataclasses.replace(spec, handle=folder) if folder else spec
