"""Plan which instants of a video its clips show. Exact fractions of seconds: no file, no float, no frame index.

Frame k of a clip is the frame shown at `clip_start + k / target_fps`. The plan does not depend on nominal frame rates,
and variable frame rate needs no special case. Clips start at 0, s, 2s, ... (s is the stride, by default the clip's
length) while a whole clip fits. The tail policy decides about the rest at the end.

An example: 50 frames at 5 fps, so a clip is 10 s long and a sample interval is 0.2 s.

    policy       2.3 s video: 12 instants, 0 to 2.2      23 s video
    shift_back   [0, 2.3) 0 ... 2.2, 0 ... : 12 real     [0, 10) [10, 20) [13, 23): all real
    repeat_last  [0, 2.3) 0 ... 2.2, 2.2 ... : 12 real   [0, 10) [10, 20) [20, 23): 20 ... 22.8, 22.8 ...: 15
    drop         no clip                                 [0, 10) [10, 20)

Notes:
- A clip ends at the end of its video, even if its frames repeat.
- A rest shorter than one sample interval does not get a clip: a 10.03 s video is one clip, not two.
- `drop` keeps exactly the clips of `repeat_last` without repeated frames: a 9.97 s video, whose 50 instants all exist,
  is one clip.
- With a stride below the clip's length, clips overlap, and at most one more clip covers the rest.
- With a stride above it, the gaps are intended. Only what lies after the next start on the grid counts as a rest.
- `clips_per_video=K` is an upper limit. If full coverage needs more clips, they start at the centers of K equal parts
  of the range of possible starts.

Clips of Stream models have any length; see `stream.py`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Sequence
from fractions import Fraction

from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.records import ClipSpan


def plan_clip_spans(
    duration_seconds: Fraction, sampling: ClipSampling, wanted: Collection[int] | None = None
) -> tuple[ClipSpan, ...]:
    """Returns the clips of a video for a Base model, ordered by start. Empty only with the tail policy `drop`.

    Args:
      duration_seconds: from the first frame's pts to the end of the last frame.
      sampling: the parameters of clip sampling.
      wanted: the `clip_index` of each clip to return; time and memory depend on their number only. None: all clips.

    Raises:
      ValueError: the duration is not positive.
    """
    if duration_seconds <= 0:
        raise ValueError(f"duration_seconds={duration_seconds}: must be above 0")
    room = duration_seconds - sampling.clip_seconds
    if room < 0:
        return _tail_spans(0, Fraction(0), duration_seconds, sampling) if wanted is None or 0 in wanted else ()
    num_whole = room // sampling.stride_seconds + 1
    has_tail = _rest_seconds(num_whole, duration_seconds, sampling) * sampling.target_fps >= 1
    limit = sampling.clips_per_video
    if limit is not None and num_whole + has_tail > limit:
        return tuple(_whole_span(i, room * (2 * i + 1) / (2 * limit), sampling) for i in chosen_indexes(limit, wanted))
    indexes = chosen_indexes(num_whole, wanted)
    spans = tuple(_whole_span(i, i * sampling.stride_seconds, sampling) for i in indexes)
    if not has_tail or (wanted is not None and num_whole not in wanted):
        return spans
    if sampling.tail == "shift_back":
        return (*spans, _whole_span(num_whole, room, sampling))
    return spans + _tail_spans(num_whole, num_whole * sampling.stride_seconds, duration_seconds, sampling)


def chosen_indexes(num_clips: int, wanted: Collection[int] | None) -> Sequence[int]:
    """Returns the wanted numbers below `num_clips`, ascending; None: all of them."""
    return range(num_clips) if wanted is None else sorted(i for i in set(wanted) if 0 <= i < num_clips)


def max_num_clips(duration_seconds: Fraction, sampling: ClipSampling) -> int:
    """Returns an upper bound on the number of clips that `plan_clip_spans` would return."""
    num_clips = duration_seconds // sampling.stride_seconds + 1
    return num_clips if sampling.clips_per_video is None else min(num_clips, sampling.clips_per_video)


def count_clips(duration_seconds: Fraction, sampling: ClipSampling) -> int:
    """Returns the number of clips that `plan_clip_spans` returns, without creating them."""
    room = duration_seconds - sampling.clip_seconds
    num_whole = max(room // sampling.stride_seconds + 1, 0) if room >= 0 else 0
    has_tail = num_whole == 0 or _rest_seconds(num_whole, duration_seconds, sampling) * sampling.target_fps >= 1
    limit = sampling.clips_per_video
    if limit is not None and room >= 0 and num_whole + has_tail > limit:
        return limit
    if not has_tail or (room >= 0 and sampling.tail == "shift_back"):
        return num_whole + has_tail
    return num_whole + len(_tail_spans(num_whole, num_whole * sampling.stride_seconds, duration_seconds, sampling))


def _rest_seconds(num_whole: int, duration_seconds: Fraction, sampling: ClipSampling) -> Fraction:
    """Returns how much of the end is uncovered by whole clips, not counting intended gaps. May be negative."""
    next_start = num_whole * sampling.stride_seconds
    covered_until = next_start - sampling.stride_seconds + sampling.clip_seconds
    return duration_seconds - max(next_start, covered_until)


def _whole_span(clip_index: int, start: Fraction, sampling: ClipSampling) -> ClipSpan:
    end = start + sampling.clip_seconds
    return _span(clip_index, start, end, _whole_steps(sampling.num_frames), sampling.num_frames, sampling)


@functools.cache
def _whole_steps(num_frames: int) -> tuple[int, ...]:
    """Returns the steps of a whole clip. All clips share them, because a long film has thousands of clips."""
    return tuple(range(num_frames))


def _tail_spans(
    clip_index: int, start: Fraction, duration_seconds: Fraction, sampling: ClipSampling
) -> tuple[ClipSpan, ...]:
    """Returns the clip at `start`, which extends past the end of the video; empty with the tail policy `drop`."""
    # k / fps < rest  <=>  k < rest * fps: the number of instants inside the video.
    num_real = min(math.ceil((duration_seconds - start) * sampling.target_fps), sampling.num_frames)
    if sampling.tail == "drop" and num_real < sampling.num_frames:
        return ()
    if sampling.tail == "shift_back":
        steps = tuple(k % num_real for k in range(sampling.num_frames))
    else:
        steps = tuple(min(k, num_real - 1) for k in range(sampling.num_frames))
    end = min(start + sampling.clip_seconds, duration_seconds)
    return (_span(clip_index, start, end, steps, num_real, sampling),)


def _span(
    clip_index: int, start: Fraction, end: Fraction, steps: tuple[int, ...], num_real: int, sampling: ClipSampling
) -> ClipSpan:
    """Returns the clip with the instants `start + step / target_fps`."""
    return ClipSpan(
        clip_index=clip_index,
        start_seconds=start,
        end_seconds=end,
        interval_seconds=1 / sampling.target_fps,
        sample_steps=steps,
        num_real_frames=num_real,
    )
