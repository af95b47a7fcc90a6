"""The records that flow through the pipeline: one frozen class per stage, no Beam.

Times are seconds or milliseconds **of the video**, from the presentation time of its first frame, independent of the
container's start time. Sample times are exact rationals: frames are chosen by comparing rationals, never by rounding
floats (see `reelbeam.transforms.media.sampling.clips`).

    videos.py        VideoRef, MediaInfo
    time_range.py    the range of a video that is labeled
    clips.py         ClipSpan, PlannedVideo, SegmentSpan, Clip, LabelScore, ClipScores
    state_slot.py    StateSlot: a Stream model's state between two clips
    rows.py          Failure, VideoSummary, LabelerFacts, RunInfo
    exact_numbers.py exact numbers from untrusted text
    thresholds.py    LabelThresholds: which labels count
    rules.py         SkipRules, and the hash that distributes videos
"""

from reelbeam.transforms.records.clips import Clip, ClipScores, ClipSpan, LabelScore, PlannedVideo, SegmentSpan
from reelbeam.transforms.records.rows import NOTHING_RECOGNIZED, Failure, LabelerFacts, RunInfo, VideoSummary
from reelbeam.transforms.records.rules import ALL_CODES, SkipRules, stable_hash
from reelbeam.transforms.records.state_slot import ClipPlace, StateSlot
from reelbeam.transforms.records.thresholds import LabelThresholds
from reelbeam.transforms.records.videos import MediaInfo, VideoRef

__all__ = [
    "ALL_CODES",
    "NOTHING_RECOGNIZED",
    "Clip",
    "ClipPlace",
    "ClipScores",
    "ClipSpan",
    "Failure",
    "LabelScore",
    "LabelThresholds",
    "LabelerFacts",
    "MediaInfo",
    "PlannedVideo",
    "RunInfo",
    "SegmentSpan",
    "SkipRules",
    "StateSlot",
    "VideoRef",
    "VideoSummary",
    "stable_hash",
]
