"""Small records for tests: every field set, so that a test changes only what it is about."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from reelbeam.transforms.records import (
    Clip,
    ClipScores,
    ClipSpan,
    Failure,
    LabelScore,
    MediaInfo,
    PlannedVideo,
    RunInfo,
    VideoRef,
)

LABELS = ("left", "right", "still")

MEDIA = MediaInfo(
    container="mov,mp4",
    codec="h264",
    stream_index=0,
    num_video_streams=1,
    has_audio=False,
    width=64,
    height=48,
    rotation_degrees=0,
    pixel_aspect_ratio=Fraction(1),
    source_fps=25.0,
    num_frames=100,
    duration_seconds=Fraction(4),
)

RUN = RunInfo(
    run_id="20260101T000000Z-abc123",
    started_at="2026-01-01T00:00:00+00:00",
    model="demo",
    model_fingerprint="m0",
    label_map_fingerprint="l0",
    sampling_fingerprint="s0",
    engine="openvino",
    precision="float32",
    decoder_version="av 1",
)


def span(index: int, num_frames: int = 2) -> ClipSpan:
    start = Fraction(2 * index)
    return ClipSpan(index, start, start + 2, Fraction(1), tuple(range(num_frames)), num_frames)


def span_at(index: int, *instants: Fraction) -> ClipSpan:
    """Returns a clip that shows these instants."""
    start = min(instants)
    unit = Fraction(1, math.lcm(*((instant - start).denominator for instant in instants)))
    steps = tuple(int((instant - start) / unit) for instant in instants)
    return ClipSpan(index, start, max(instants), unit, steps, len(instants))


def clip(uri: str = "a.mp4", index: int = 0, value: int = 0) -> Clip:
    return Clip(uri, 0, span(index), np.full((2, 4, 4, 3), value, np.uint8))


def scores(uri: str = "a.mp4", index: int = 0, values: tuple[float, ...] = (0.7, 0.2, 0.1)) -> ClipScores:
    best = int(np.argmax(values))
    return ClipScores(
        uri, 0, span(index), (LabelScore(LABELS[best], best, values[best]),), 0.5, 1.5, np.array(values, np.float32)
    )


def failure(uri: str = "a.mp4", code: str = "corrupt_video", stage: str = "decode", segment: int | None = 0) -> Failure:
    return Failure(uri, stage, code, f"{uri}: broken", False, segment_index=segment)


def planned(uri: str = "a.mp4", num_clips: int = 2) -> PlannedVideo:
    return PlannedVideo(video(uri), MEDIA, 1, num_clips)


def video(uri: str = "a.mp4", **metadata: str) -> VideoRef:
    return VideoRef(uri, 1000, "mtime:1.0", tuple(sorted(metadata.items())), modified_seconds=1.0)
