"""Puts MoViNet action labels on a corpus of videos, with Apache Beam.

    LabelVideos    a Beam composite: the names of videos -> their labels

`reelbeam.pipeline` is the command line and what runs a job; `reelbeam.transforms` is what happens to the data. Their
folders, `pipeline/` and `transforms/`, are at the top of the checkout and are linked here, so they cannot hide another
project's `pipeline` or `transforms`, or be hidden by it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from reelbeam.pipeline import __version__

if TYPE_CHECKING:
    from reelbeam.pipeline.api.label_videos import LabeledVideos, LabelVideos
    from reelbeam.pipeline.api.options import LabelOptions
    from reelbeam.transforms.labeling.row_types import ClipRow, ErrorRow, VideoRow, as_dict

__all__ = [
    "ClipRow",
    "ErrorRow",
    "LabelOptions",
    "LabelVideos",
    "LabeledVideos",
    "VideoRow",
    "__version__",
    "as_dict",
]

# Imported at first use, because Beam takes seconds and the command line often does not need it.
_MODULES = {
    "LabelVideos": "pipeline.api.label_videos",
    "LabeledVideos": "pipeline.api.label_videos",
    "LabelOptions": "pipeline.api.options",
    "VideoRow": "transforms.labeling.row_types",
    "ClipRow": "transforms.labeling.row_types",
    "ErrorRow": "transforms.labeling.row_types",
    "as_dict": "transforms.labeling.row_types",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
