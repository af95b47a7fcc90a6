"""Puts MoViNet action labels on a corpus of videos, with Apache Beam.

    LabelVideos    a Beam composite: the names of videos -> their labels
    label          the same in threads of this process, for scripts and notebooks: videos -> Arrow tables
    decode_clips   a video -> the clips that a model takes, as arrays
    load_model     a model that classifies such arrays

`reelbeam.pipeline` is the command line and what runs a job; `reelbeam.transforms` is what happens to the data. Their
folders, `pipeline/` and `transforms/`, are at the top of the checkout and are linked here, so they cannot hide another
project's `pipeline` or `transforms`, or be hidden by it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from reelbeam.pipeline import __version__

if TYPE_CHECKING:
    from reelbeam.pipeline.api.decode_clips import decode_clips
    from reelbeam.pipeline.api.decoded_clip import DecodedClip
    from reelbeam.pipeline.api.label import label
    from reelbeam.pipeline.api.label_tables import LabelTables
    from reelbeam.pipeline.api.label_videos import LabeledVideos, LabelVideos
    from reelbeam.pipeline.api.model import ClassifiedClip, Model, load_model
    from reelbeam.pipeline.api.options import DecodeOptions, LabelOptions, ModelOptions
    from reelbeam.transforms.errors import (
        ConfigError,
        InferenceError,
        MediaError,
        ModelError,
        ReelbeamError,
        RunError,
        StorageError,
    )
    from reelbeam.transforms.labeling.bigquery import bigquery_schema
    from reelbeam.transforms.labeling.row_types import ClipRow, ErrorRow, VideoRow, as_dict

__all__ = [
    "ClassifiedClip",
    "ClipRow",
    "ConfigError",
    "DecodeOptions",
    "DecodedClip",
    "ErrorRow",
    "InferenceError",
    "LabelOptions",
    "LabelTables",
    "LabelVideos",
    "LabeledVideos",
    "MediaError",
    "Model",
    "ModelError",
    "ModelOptions",
    "ReelbeamError",
    "RunError",
    "StorageError",
    "VideoRow",
    "__version__",
    "as_dict",
    "bigquery_schema",
    "decode_clips",
    "label",
    "load_model",
]

# Imported at first use, because Beam takes seconds and the command line often does not need it.
_MODULES = {
    "label": "pipeline.api.label",
    "LabelTables": "pipeline.api.label_tables",
    "LabelVideos": "pipeline.api.label_videos",
    "LabeledVideos": "pipeline.api.label_videos",
    "LabelOptions": "pipeline.api.options",
    "DecodeOptions": "pipeline.api.options",
    "ModelOptions": "pipeline.api.options",
    "decode_clips": "pipeline.api.decode_clips",
    "DecodedClip": "pipeline.api.decoded_clip",
    "load_model": "pipeline.api.model",
    "Model": "pipeline.api.model",
    "ClassifiedClip": "pipeline.api.model",
    "VideoRow": "pipeline.api.label_videos",  # which registers their coders
    "ClipRow": "pipeline.api.label_videos",  # which registers their coders
    "ErrorRow": "pipeline.api.label_videos",  # which registers their coders
    "as_dict": "transforms.labeling.row_types",
    "bigquery_schema": "transforms.labeling.bigquery",
    "ConfigError": "transforms.errors",
    "InferenceError": "transforms.errors",
    "MediaError": "transforms.errors",
    "ModelError": "transforms.errors",
    "ReelbeamError": "transforms.errors",
    "RunError": "transforms.errors",
    "StorageError": "transforms.errors",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
