"""Compares the fast way of decoding with a full decode, for many ways to want frames."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from record_factory import span_at

from reelbeam.transforms import errors
from reelbeam.transforms.media.container.container import open_video
from reelbeam.transforms.media.decoding.decoder import DecodeStats, Geometry, decode_clips
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.decoding.reader import OpenVideo
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.media.sampling.segments import media_of_segment
from reelbeam.transforms.records import ClipSpan, MediaInfo

GEOMETRY = Geometry(72, 72)


def x265(params: str) -> dict[str, Any]:
    """Returns what makes HEVC with these parameters."""
    return {"codec": "libx265", "options": {"x265-params": f"log-level=none:{params}"}}


def samplings(media: MediaInfo) -> dict[str, list[ClipSpan]]:
    """Returns ways to want frames of a video."""
    duration = media.duration_seconds
    whole = plan_clip_spans(duration, ClipSampling(5, Fraction(5)))
    spread = plan_clip_spans(duration, ClipSampling(2, Fraction(8), clips_per_video=3))
    rate = round(media.source_fps or 1) * 2
    return {
        "every frame": [span_at(0, *[Fraction(n, rate) for n in range(int(duration * rate) or 1)])],
        "five a second": list(whole),
        "few": list(spread),
        "each alone": [span_at(n, n * duration / 23) for n in range(23)],
        "the middle": list(whole)[len(whole) // 2 :],
        "the end": [span_at(0, duration * Fraction(99, 100))],
    }


def decoded(
    path: pathlib.Path,
    media: MediaInfo,
    spans: Sequence[ClipSpan],
    stats: DecodeStats | None = None,
    open_video: OpenVideo = open_video,
) -> tuple[dict[int, bytes], str]:
    """Returns each clip's bytes, and the error's message; no clip may come twice."""
    found: dict[int, bytes] = {}
    try:
        for clip, frames in decode_clips(path, media, spans, GEOMETRY, stats, open_video=open_video):
            assert clip.clip_index not in found
            found[clip.clip_index] = frames.tobytes()
    except errors.CorruptVideoError as error:
        return found, str(error)
    return found, ""


def assert_same_as_full(
    path: pathlib.Path, media: MediaInfo, full_decodes: int | None = 0, open_video: OpenVideo = open_video
) -> None:
    """Fails where the fast way gives other bytes, clips or errors, or had to be given up more or less often.

    Only the fast way uses `open_video`.
    """
    full = dataclasses.replace(media, key_frame_pts=())
    for name, spans in samplings(media).items():
        stats = DecodeStats()
        fast = decoded(path, media, spans, stats, open_video)
        assert fast == decoded(path, full, spans), name
        assert fast[0], name
        assert full_decodes in (None, stats.full_decodes), (name, stats.reason)


def check(path: pathlib.Path, is_proven: bool, full_decodes: int | None = None) -> None:
    """Compares many samplings, and each frame as a segment of its own, with a full decode."""
    media = probe(path)
    assert bool(media.key_frame_pts) == is_proven
    assert_same_as_full(path, media, full_decodes)
    full = dataclasses.replace(media, key_frame_pts=())
    middles = [media.duration_seconds * Fraction(2 * n + 1, 2 * media.num_frames) for n in range(media.num_frames)]
    spans = [span_at(n, instant) for n, instant in enumerate(middles)]
    whole, _ = decoded(path, full, spans)
    for each in spans[:: 1 if is_proven else 7]:
        alone, _ = decoded(path, media_of_segment(media, [each]), [each])
        assert alone.get(each.clip_index) == whole.get(each.clip_index), each.clip_index
