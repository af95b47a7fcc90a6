"""Explain why clips are lost: what happened and what to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from fractions import Fraction

from reelbeam.transforms.media.container.container import VideoPacket
from reelbeam.transforms.media.container.error_text import CONVERT_IF_SOUND, UNSUPPORTED_FEATURE
from reelbeam.transforms.media.decoding.assembly import ClipAssembly
from reelbeam.transforms.media.decoding.full_source import FullSource
from reelbeam.transforms.media.timing.timeline import Timeline
from reelbeam.transforms.wording import counted

_CUT = "cut it at a key frame, or upload the part before it"
NO_KEY_FRAME = f"the recording has no key frame, so none of its frames can be decoded; {_CUT}"


class KeyFrameWatch:
    """Observes the packets of a recording from its start.

    FFmpeg does not mark a damaged packet as a key frame, but the container's index still does.

    Attributes:
      starts_with_one: whether the first packet is a key frame; True before the first packet.
      has_one: whether any packet is a key frame.
    """

    def __init__(self) -> None:
        self.starts_with_one = True
        self.has_one = False

    def through(self, packets: Iterable[VideoPacket]) -> Iterator[VideoPacket]:
        """Yields the packets unchanged."""
        for number, packet in enumerate(packets):
            if number == 0:
                self.has_one = self.starts_with_one = packet.is_keyframe or _is_indexed(packet)
            self.has_one = self.has_one or packet.is_keyframe
            yield packet


def _is_indexed(packet: VideoPacket) -> bool:
    """Returns whether the index lists a key frame at this packet, which must be the first."""
    index = packet.stream.index_entries
    if len(index) == 0 or packet.dts is None:
        return False
    return index[0].is_keyframe and index[0].timestamp <= packet.dts


@dataclasses.dataclass
class Losses:
    """The lost clips, and the facts about the decode ranges that lost them.

    Attributes:
      planned_seconds: the duration of the video when the clips were planned.
      num_clips: the number of lost clips.
      num_rejected: the number of packets that the decoder rejected.
      num_damaged: the number of frames that the decoder flagged as damaged.
      num_missing: the number of wanted frames that the decoder did not output, without an error.
      cause: FFmpeg's first error in plain words; "" if there was none.
      start: what is wrong with the start of the recording; "" if nothing is.
    """

    planned_seconds: Fraction
    num_clips: int = 0
    num_rejected: int = 0
    num_damaged: int = 0
    num_missing: int = 0
    cause: str = ""
    start: str = ""
    _num_at_start: int = 0
    _reached_seconds: Fraction = Fraction(0)
    _found_seconds: Fraction | None = None

    def add(self, assembly: ClipAssembly, timeline: Timeline, source: FullSource, watch: KeyFrameWatch | None) -> None:
        """Adds the losses of one decode range; `watch` is None if it does not begin at the recording's start."""
        self.num_clips += assembly.schedule.num_lost
        self.num_rejected += source.num_rejected
        self.num_damaged += assembly.num_damaged
        self.num_missing += source.num_missing
        self._reached_seconds = max((source.last_pts - timeline.origin) * timeline.time_base, Fraction(0))
        self.cause = self.cause or source.cause
        if watch is not None:
            self._found_seconds = timeline.duration_seconds
            self._judge_start(assembly, timeline, watch)

    def _judge_start(self, assembly: ClipAssembly, timeline: Timeline, watch: KeyFrameWatch) -> None:
        if watch.starts_with_one:
            return
        if not watch.has_one and assembly.first_pts is None:
            self.start = NO_KEY_FRAME
            self._num_at_start += assembly.schedule.num_lost
        elif assembly.num_before_first and assembly.first_pts is not None:
            seconds = float((assembly.first_pts - timeline.origin) * timeline.time_base)
            self.start = f"the recording starts inside a GOP: no key frame before {seconds:.3f} s; {_CUT}"
            self._num_at_start += assembly.num_before_first

    def message(self, name: str, num_clips: int) -> str:
        """Returns the error text; `num_clips` includes the clips that are not lost."""
        lost = f"{name}: {self.num_clips} of {counted(num_clips, 'clip')} lost: "
        if self._num_at_start == self.num_clips:
            return f"{lost}{self.start}"
        if self.start:
            lost += f"{self.start}; "
        return lost + self._progress() + self._remedy()

    def _progress(self) -> str:
        """Returns how far the decoder got, and what went wrong."""
        seconds = self.planned_seconds if self._found_seconds is None else self._found_seconds
        parts = [f"decoded up to {float(self._reached_seconds):.3f} s of {float(seconds):.3f} s"]
        if self.num_rejected:
            parts.append(f"{_count(self.num_rejected, 'packet')} rejected by the decoder")
        if self.num_damaged:
            parts.append(f"{_count(self.num_damaged, 'frame')} flagged as damaged by the decoder")
        if self.num_missing:
            parts.append(f"no picture for {_count(self.num_missing, 'wanted frame')}")
        if len(parts) == 1 and not self.cause and not self._has_changed:
            parts.append("the decoder gave no frame for the rest")
        return ", ".join(parts) + (f" ({self.cause})" if self.cause else "")

    @property
    def _has_changed(self) -> bool:
        return self._found_seconds is not None and self._found_seconds != self.planned_seconds

    def _remedy(self) -> str:
        if self._has_changed:
            planned = f"{float(self.planned_seconds):.3f} s"
            return f"; the file changed: it was {planned} long when its clips were planned; run again"
        return f"; {CONVERT_IF_SOUND}" if self.is_unsupported else "; check that the file plays, or upload it again"

    @property
    def is_unsupported(self) -> bool:
        """Whether FFmpeg lacks a feature that the stream needs."""
        return self.cause == UNSUPPORTED_FEATURE


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
