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

import dataclasses
import functools
import hashlib
import math
from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import Literal

from reelbeam.transforms.records import ClipSpan

TailPolicy = Literal["shift_back", "repeat_last", "drop", "keep"]
_POLICIES: dict[str, tuple[TailPolicy, ...]] = {
    "base": ("shift_back", "repeat_last", "drop"),
    "stream": ("keep", "drop"),
}
"""The tail policies of each kind of model, the default first."""

DEFAULT_WARM_UP_SECONDS = Fraction(20)
"""See `benchmarks/warm_up.py`."""


@dataclasses.dataclass(frozen=True)
class ClipSampling:
    """The parameters of clip sampling.

    Attributes:
      num_frames: the number of frames in a model input.
      target_fps: frames per second in a clip, independent of the video's own rate.
      clip_stride_seconds: the distance between the starts of adjacent clips; None is the clip's length.
      clips_per_video: the maximum number of clips of a video, evenly spread; None covers the video.
      tail_policy: what to do if no whole clip fits, see the module's docstring; None is the default of the kind.
      kind: the kind of the model, "base" or "stream".
      warm_up_seconds: for Stream models, the seconds of video that the model sees before it starts in the middle of a
        video; None is the default.

    Raises:
      ValueError: a value is invalid; the message names its flag.
    """

    num_frames: int
    target_fps: Fraction
    clip_stride_seconds: Fraction | None = None
    clips_per_video: int | None = None
    tail_policy: TailPolicy | None = None
    kind: Literal["base", "stream"] = "base"
    warm_up_seconds: Fraction | None = None

    def __post_init__(self) -> None:
        _check_count("--num_frames", self.num_frames)
        _check_positive("--target_fps", self.target_fps)
        if self.clip_stride_seconds is not None:
            _check_positive("--clip_stride_seconds", self.clip_stride_seconds)
        if self.clips_per_video is not None:
            _check_count("--clips_per_video", self.clips_per_video)
        if self.tail not in _POLICIES[self.kind]:
            choices = ", ".join(_POLICIES[self.kind])
            raise ValueError(f"--tail_policy={self.tail}: must be one of {choices} for a {self.kind.title()} model")
        if self.kind == "base" and self.warm_up_seconds is not None:
            raise ValueError("--warm_up_seconds is for Stream models: a Base model remembers nothing between clips")
        if self.warm_up < 0:
            raise ValueError(f"--warm_up_seconds={self.warm_up}: must be 0 or more")
        if self.kind == "stream" and self.stride_seconds < self.clip_seconds:
            raise ValueError(
                f"--clip_stride_seconds={float(self.stride_seconds):g}: clips of a Stream model cannot overlap, its "
                f"frames are seen once and in order; at least {float(self.clip_seconds):g}, the clip's length"
            )

    @property
    def clip_seconds(self) -> Fraction:
        """The length of a clip: each frame covers one sample interval."""
        return Fraction(self.num_frames) / self.target_fps

    @property
    def stride_seconds(self) -> Fraction:
        """The distance between the starts of adjacent clips, or its default."""
        return self.clip_seconds if self.clip_stride_seconds is None else self.clip_stride_seconds

    @property
    def tail(self) -> TailPolicy:
        """The tail policy, or its default."""
        return _POLICIES[self.kind][0] if self.tail_policy is None else self.tail_policy

    @property
    def warm_up(self) -> Fraction:
        """The warm-up in seconds, or its default; 0 for a Base model."""
        if self.warm_up_seconds is None:
            return DEFAULT_WARM_UP_SECONDS if self.kind == "stream" else Fraction(0)
        return self.warm_up_seconds

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change if and only if the sampling changes; compare only rows with equal fingerprints."""
        values = dataclasses.asdict(self) | {"tail_policy": self.tail, "warm_up_seconds": self.warm_up}
        if self.kind == "base":  # a Base model does not use these
            del values["kind"], values["warm_up_seconds"]
        elif self.clips_per_video is not None or self.stride_seconds != self.clip_seconds:
            values["short_gaps"] = "shown"  # an earlier version did not show them
        fields = [f"{name}={value}" for name, value in values.items()]
        return hashlib.sha256("\n".join(fields).encode()).hexdigest()[:16]


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


def _check_count(flag: str, value: int) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{flag}={value}: must be a whole number, 1 or more")


def _check_positive(flag: str, value: Fraction) -> None:
    if not isinstance(value, (int, Fraction)) or value <= 0:
        raise ValueError(f"{flag}={value}: must be an exact number above 0")
