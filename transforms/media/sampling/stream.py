"""Plan which instants of a video a Stream model sees. Pure: times in, clips out.

A Stream model sees the frames of a clip in order, and its output at the end of the clip is the result. A clip may have
any length, so clips are sections of one grid of frames, k / target_fps, and follow each other without overlap. No frame
is looped or repeated: a video that is shorter than a clip becomes a clip with fewer frames.

By default, each clip starts from an empty state, so its result depends on its own frames only. If the rest at the end
is shorter than a clip, the last clip is moved back on the grid to end at the video's end (`shift_back`), or the rest is
a clip with fewer frames (`keep`), or is left out (`drop`).

With `carry_state`, each frame is seen once, in order, and the state goes from clip to clip, so the last clip cannot be
moved back. If the model starts in the middle of a video (a segment on another worker, or a clip after a long gap), the
first clip has a warm-up: frames before it that the model sees without giving a result. If the gap between two clips is
not longer than a warm-up, the model sees the gap and keeps its state. No frame is decoded twice within a segment.

An example with `carry_state`: 50 frames at 5 fps, a video of 132.3 s, a warm-up of 10 s, a cut into segments at 70 s:

    segment 0    [0, 10) [10, 20) ... [60, 70)
    segment 1    60 ... 69.8 for warm-up, [70, 80) ... [120, 130) [130, 132.3): 12 frames
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Sequence
from fractions import Fraction

from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import chosen_indexes
from reelbeam.transforms.records import ClipSpan


def plan_stream_spans(duration_seconds: Fraction, sampling: ClipSampling) -> tuple[ClipSpan, ...]:
    """Returns the clips of a video for a Stream model, ordered by start. Empty only with the tail policy `drop`.

    Args:
      duration_seconds: from the first frame's pts to the end of the last frame.
      sampling: the parameters of clip sampling; with `carry_state`, clips after a gap include a warm-up, or the gap's
        frames.

    Raises:
      ValueError: the duration is not positive.
    """
    if duration_seconds <= 0:
        raise ValueError(f"duration_seconds={duration_seconds}: must be above 0")
    starts = _chosen_starts(duration_seconds, sampling)
    separate = [_span(index, start, duration_seconds, sampling) for index, start in enumerate(starts)]
    return _carried(separate, sampling) if sampling.carry_state else tuple(separate)


def _carried(separate: Sequence[ClipSpan], sampling: ClipSampling) -> tuple[ClipSpan, ...]:
    """Returns the clips with the frames that a model sees before each of them, whose state goes from clip to clip."""
    spans: list[ClipSpan] = []
    for span in separate:
        gap = span.start_seconds - spans[-1].end_seconds if spans else None
        if gap is None or gap > sampling.warm_up:
            spans.append(_begun_anew(span, sampling))
        else:  # the gap is not longer than a warm-up, and the model keeps its state
            spans[-1] = dataclasses.replace(spans[-1], is_continued=True)
            spans.append(dataclasses.replace(_shown_before(span, gap, sampling), continues=True))
    return tuple(spans)


def plan_separate_clips(
    duration_seconds: Fraction, sampling: ClipSampling, wanted: Collection[int]
) -> tuple[ClipSpan, ...]:
    """Returns some clips of a video without a warm-up, as if none continued another, ordered by start.

    Args:
      duration_seconds: as for `plan_stream_spans`.
      sampling: the parameters of clip sampling.
      wanted: the `clip_index` of each clip to return. Memory for frames depends on their number only.
    """
    starts = _chosen_starts(duration_seconds, sampling)
    return tuple(_span(i, starts[i], duration_seconds, sampling) for i in chosen_indexes(len(starts), wanted))


def count_stream_clips(duration_seconds: Fraction, sampling: ClipSampling) -> int:
    """Returns the number of clips that `plan_stream_spans` returns, without creating them."""
    num_clips = _num_starts(duration_seconds, sampling)
    return num_clips if sampling.clips_per_video is None else min(num_clips, sampling.clips_per_video)


def warm_up_segments(segments: Sequence[Sequence[ClipSpan]], sampling: ClipSampling) -> list[tuple[ClipSpan, ...]]:
    """Returns the segments, with a warm-up for each segment that continues the previous one."""
    warmed = []
    for clips in segments:
        first, *others = clips
        whole = [_begun_anew(first, sampling) if first.continues else first, *others]
        whole[-1] = dataclasses.replace(whole[-1], is_continued=False)
        warmed.append(tuple(whole))
    return warmed


def _num_starts(duration_seconds: Fraction, sampling: ClipSampling) -> int:
    """Returns the number of all possible clips, one each stride; the last clip may be shorter."""
    # A clip has at least one sample interval, except the first one.
    last = max((duration_seconds - 1 / sampling.target_fps) // sampling.stride_seconds, 0)
    rest = duration_seconds - last * sampling.stride_seconds
    is_dropped = sampling.tail == "drop" and _num_frames(rest, sampling) < sampling.num_frames
    return last if is_dropped else last + 1


def _chosen_starts(duration_seconds: Fraction, sampling: ClipSampling) -> list[Fraction]:
    """Returns the starts of the wanted clips: all, or `clips_per_video` of them, spread evenly without overlap."""
    num_starts = _num_starts(duration_seconds, sampling)
    limit = sampling.clips_per_video
    if limit is None or num_starts <= limit:
        starts = [i * sampling.stride_seconds for i in range(num_starts)]
        return _with_last_whole(starts, duration_seconds, sampling) if sampling.tail == "shift_back" else starts
    room = duration_seconds - sampling.clip_seconds
    latest = _on_grid(room, sampling) - (limit - 1) * sampling.clip_seconds  # of the first clip, so that all fit
    chosen: list[Fraction] = []
    for i in range(limit):
        free_from = chosen[-1] + sampling.clip_seconds if chosen else Fraction(0)
        start = max(_on_grid(room * (2 * i + 1) / (2 * limit), sampling), free_from)
        chosen.append(min(start, latest + i * sampling.clip_seconds))
    return chosen


def _with_last_whole(starts: list[Fraction], duration_seconds: Fraction, sampling: ClipSampling) -> list[Fraction]:
    """Returns the starts with the last clip moved back, so that it is whole, or starts with the video."""
    num_instants = math.ceil(duration_seconds * sampling.target_fps)
    latest = max(num_instants - sampling.num_frames, 0) / sampling.target_fps
    return [*starts[:-1], min(starts[-1], latest)]


def _on_grid(seconds: Fraction, sampling: ClipSampling) -> Fraction:
    """Returns the last instant of the grid at or before `seconds`."""
    return seconds * sampling.target_fps // 1 / sampling.target_fps


def _num_frames(rest_seconds: Fraction, sampling: ClipSampling) -> int:
    """Returns the number of frames of a clip that starts this long before the end of the video."""
    # k / fps < rest  <=>  k < rest * fps: the number of instants inside the video.
    return min(math.ceil(rest_seconds * sampling.target_fps), sampling.num_frames)


def _span(clip_index: int, start: Fraction, duration_seconds: Fraction, sampling: ClipSampling) -> ClipSpan:
    """Returns the clip at `start`, without frames before it."""
    num_frames = _num_frames(duration_seconds - start, sampling)
    return ClipSpan(
        clip_index=clip_index,
        start_seconds=start,
        end_seconds=min(start + num_frames / sampling.target_fps, duration_seconds),
        interval_seconds=1 / sampling.target_fps,
        sample_steps=tuple(range(num_frames)),
        num_real_frames=num_frames,
    )


def _begun_anew(span: ClipSpan, sampling: ClipSampling) -> ClipSpan:
    """Returns a clip that does not continue another: with the full warm-up, or as much as the video has before it."""
    begun = dataclasses.replace(
        span, sample_steps=span.sample_steps[span.num_warm_up_frames :], num_warm_up_frames=0, continues=False
    )
    return _shown_before(begun, min(sampling.warm_up, span.start_seconds), sampling)


def _shown_before(span: ClipSpan, seconds: Fraction, sampling: ClipSampling) -> ClipSpan:
    """Returns the clip with the frames of the given seconds before it as its warm-up."""
    num_frames = math.floor(seconds * sampling.target_fps)
    steps = (*range(-num_frames, 0), *span.sample_steps)
    return dataclasses.replace(span, sample_steps=steps, num_warm_up_frames=num_frames)
