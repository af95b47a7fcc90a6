"""The configuration of the steps that label videos."""

from __future__ import annotations

import dataclasses

from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.limits import DEFAULT_LIMITS, DecoderLimits
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.models.classifier_config import ClassifierConfig
from reelbeam.transforms.storage.spool.folder import DEFAULT_SPOOL, SpoolConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannerConfig:
    """The configuration of PlanClips.

    Attributes:
      sampling: which clips, and which instants of each.
      max_video_bytes: a larger file is a failure, `file_too_large`.
      limits: the limits of a video and of a decoder process.
      spool: where remote videos are kept on local disk.
      in_place: whether a video of one segment is decoded by the worker that planned it. It saves a shuffle and, from a
        store, a second download. If all workers are one process, nothing is saved, and all segments together are
        spread more evenly.
    """

    sampling: ClipSampling
    max_video_bytes: int
    limits: DecoderLimits = DEFAULT_LIMITS
    spool: SpoolConfig = DEFAULT_SPOOL
    in_place: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """The configuration of DecodeClips.

    Attributes:
      geometry: scale and crop of the frames.
      max_video_bytes: a larger file is a failure, `file_too_large`.
      limits: the limits of a video and of a decoder process.
      spool: where remote videos are kept on local disk.
    """

    geometry: Geometry
    max_video_bytes: int
    limits: DecoderLimits = DEFAULT_LIMITS
    spool: SpoolConfig = DEFAULT_SPOOL


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelerConfig:
    """The configuration of all steps that label videos."""

    planner: PlannerConfig
    decoder: DecoderConfig
    classifier: ClassifierConfig
