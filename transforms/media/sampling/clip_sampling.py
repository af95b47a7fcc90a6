"""The parameters of clip sampling, their defaults for each kind of model, and their fingerprint."""

from __future__ import annotations

import dataclasses
import hashlib
from fractions import Fraction
from typing import Literal

TailPolicy = Literal["shift_back", "repeat_last", "drop", "keep"]
_POLICIES: dict[str, tuple[TailPolicy, ...]] = {
    "a Base model": ("shift_back", "repeat_last", "drop"),
    "a Stream model": ("shift_back", "keep", "drop"),
    "a Stream model with --carry_state": ("keep", "drop"),
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
      tail_policy: what to do if no whole clip fits, see `clips.py` and `stream.py`; None is the default of the kind.
      kind: the kind of the model, "base" or "stream".
      carry_state: for Stream models, whether the state goes from clip to clip. Otherwise, each clip starts empty.
      warm_up_seconds: with `carry_state`, the seconds of video that the model sees before it starts in the middle of a
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
    carry_state: bool = False
    warm_up_seconds: Fraction | None = None

    def __post_init__(self) -> None:
        _check_count("--num_frames", self.num_frames)
        _check_positive("--target_fps", self.target_fps)
        if self.clip_stride_seconds is not None:
            _check_positive("--clip_stride_seconds", self.clip_stride_seconds)
        if self.clips_per_video is not None:
            _check_count("--clips_per_video", self.clips_per_video)
        if self.kind == "base" and self.warm_up_seconds is not None:
            raise ValueError("--warm_up_seconds is for Stream models: a Base model remembers nothing between clips")
        if self.kind == "base" and self.carry_state:
            raise ValueError("--carry_state is for Stream models: a Base model has no state")
        if self.warm_up_seconds is not None and not self.carry_state:
            raise ValueError("--warm_up_seconds needs --carry_state: without it, each clip starts from an empty state")
        if self.tail not in _POLICIES[self._model]:
            raise ValueError(
                f"--tail_policy={self.tail}: must be one of {', '.join(_POLICIES[self._model])} for {self._model}"
            )
        if self.warm_up < 0:
            raise ValueError(f"--warm_up_seconds={self.warm_up}: must be 0 or more")
        if self.kind == "stream" and self.stride_seconds < self.clip_seconds:
            raise ValueError(
                f"--clip_stride_seconds={float(self.stride_seconds):g}: clips of a Stream model cannot overlap; pass "
                f"at least {float(self.clip_seconds):g}, the clip's length"
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
        return _POLICIES[self._model][0] if self.tail_policy is None else self.tail_policy

    @property
    def _model(self) -> str:
        kind = f"a {self.kind.title()} model"
        return f"{kind} with --carry_state" if self.carry_state else kind

    @property
    def warm_up(self) -> Fraction:
        """The warm-up in seconds, or its default; 0 if no state is carried."""
        if self.warm_up_seconds is None:
            return DEFAULT_WARM_UP_SECONDS if self.carry_state else Fraction(0)
        return self.warm_up_seconds

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change if and only if the sampling changes; compare only rows with equal fingerprints."""
        values = dataclasses.asdict(self) | {"tail_policy": self.tail, "warm_up_seconds": self.warm_up}
        if self.kind == "base":  # a Base model does not use these
            del values["kind"], values["carry_state"], values["warm_up_seconds"]
        else:  # an earlier version always carried the state
            del values["carry_state" if self.carry_state else "warm_up_seconds"]
        if self.carry_state and (self.clips_per_video is not None or self.stride_seconds != self.clip_seconds):
            values["short_gaps"] = "shown"  # and it did not show them
        fields = [f"{name}={value}" for name, value in values.items()]
        return hashlib.sha256("\n".join(fields).encode()).hexdigest()[:16]


def _check_count(flag: str, value: int) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{flag}={value}: must be a whole number, 1 or more")


def _check_positive(flag: str, value: Fraction) -> None:
    if not isinstance(value, (int, Fraction)) or value <= 0:
        raise ValueError(f"{flag}={value}: must be an exact number above 0")
