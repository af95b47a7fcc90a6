"""Divide a long video into segments, the units of heavy work. Pure: times in, clips out.

A segment is decoded from the last key frame before its first clip. The further back that key frame is, the more of the
previous segment is decoded twice. Cuts are made where this costs least, at clips that start one to two minutes after
the start of the segment; gaps between clips do not count. If key frames are so rare that every cut would cost more than
a quarter of a minute, segments grow. If no key frame is known, the video is one segment.

A segment of a Stream model shows a warm-up first. The warm-up is intended and does not count as a cost. There, a cut
costs less the closer a key frame is to the start of the warm-up.

An example: clips of 10 s, key frames every 7 s. A segment may end at 60, 70, ... 120 s. There is a key frame at 70, so
the cut there costs nothing.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Sequence
from fractions import Fraction

from reelbeam.transforms.records import ClipSpan, MediaInfo

# The number of key frames passed to a segment's decoder in addition to the one before the segment's start.
KEY_FRAMES_BEFORE = 2

_MIN_SECONDS = 60
_MAX_SECONDS = 120
_MAX_WASTE_SECONDS = 15
# A shorter rest is not split off from its segment.
_MIN_REST_SECONDS = 30


def plan_segments(
    clips: Sequence[ClipSpan], key_frame_seconds: Sequence[Fraction], warm_up_seconds: Fraction = Fraction(0)
) -> tuple[tuple[ClipSpan, ...], ...]:
    """Returns the clips of each segment: each clip in exactly one, in order. Empty only if there are no clips.

    Args:
      clips: the clips of one video, ordered by start.
      key_frame_seconds: the random access points in seconds of the video, ascending.
      warm_up_seconds: the warm-up before the first clip of a segment that continues another segment.
    """
    segments: list[tuple[ClipSpan, ...]] = []
    first, rest = 0, clip_seconds(clips)
    while first < len(clips):
        stop = _best_cut(clips, first, rest, key_frame_seconds, warm_up_seconds)
        segments.append(tuple(clips[first:stop]))
        first, rest = stop, rest - clip_seconds(segments[-1])
    return tuple(segments)


def media_of_segment(media: MediaInfo, clips: Sequence[ClipSpan]) -> MediaInfo:
    """Returns the media information that the decoder of one segment needs: only the key frames of these clips."""
    keys = media.key_frame_pts
    kept: set[int] = set()
    for clip in clips:
        start = bisect.bisect_right(keys, media.start_pts + clip.first_seconds // media.time_base)
        stop = bisect.bisect_right(keys, media.start_pts + clip.end_seconds // media.time_base)
        kept.update(keys[max(start - 1 - KEY_FRAMES_BEFORE, 0) : stop])
    return dataclasses.replace(media, key_frame_pts=tuple(sorted(kept)))


def key_frame_seconds(media: MediaInfo) -> tuple[Fraction, ...]:
    """Returns the listed key frames in seconds of the video; negative for frames that an edit list removes."""
    return tuple((tick - media.start_pts) * media.time_base for tick in media.key_frame_pts)


def clip_seconds(clips: Sequence[ClipSpan]) -> Fraction:
    """Returns how many seconds of a video the clips cover: overlaps count once, gaps do not count."""
    seconds, covered_until = Fraction(0), Fraction(0)
    for clip in clips:
        seconds += _new_seconds(clip, covered_until)
        covered_until = max(covered_until, clip.end_seconds)
    return seconds


def _best_cut(
    clips: Sequence[ClipSpan], first: int, rest: Fraction, key_frames: Sequence[Fraction], warm_up_seconds: Fraction
) -> int:
    """Returns the first clip of the next segment, for the segment that starts at `first`; len(clips) if it is the last.

    `rest` is the approximate number of seconds of clips from `first` on.
    """
    best, least_waste = len(clips), Fraction(_MAX_WASTE_SECONDS)
    seconds, covered_until = Fraction(0), Fraction(0)
    for stop in range(first, len(clips)):
        if seconds >= _MIN_SECONDS and rest - seconds >= _MIN_REST_SECONDS:
            if clips[stop].continues:
                warm_from = max(clips[stop].start_seconds - warm_up_seconds, Fraction(0))
                waste = _waste(warm_from, warm_from, key_frames)
            else:
                waste = _waste(clips[stop].first_seconds, covered_until, key_frames)
            if waste is not None and waste < least_waste:
                best, least_waste = stop, waste
        seconds += _new_seconds(clips[stop], covered_until)
        covered_until = max(covered_until, clips[stop].end_seconds)
        if seconds > _MAX_SECONDS and best < len(clips):
            break
    return best


def _new_seconds(clip: ClipSpan, covered_until: Fraction) -> Fraction:
    return max(clip.end_seconds - max(clip.start_seconds, covered_until), Fraction(0))


def _waste(start: Fraction, covered_until: Fraction, key_frames: Sequence[Fraction]) -> Fraction | None:
    """Returns the seconds that a cut makes two segments decode; None if no random access point precedes the clip."""
    position = bisect.bisect_right(key_frames, start) - 1
    if position < 0:
        return None
    return max(covered_until - key_frames[position], Fraction(0))
