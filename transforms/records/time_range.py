"""A range of a video, as requested by a row of a list file, in exact fractions of seconds. No Beam."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from reelbeam.transforms.redaction import bare_uri

_ROUNDING = Fraction(1, 1000)


class TimeRange(NamedTuple):
    """The half-open range of a video from `start_seconds` to `end_seconds`; both None: the whole video.

    A range from 0 without an end is the whole video, and a range without a start begins at 0, see `of`.

    Attributes:
      start_seconds: the start, relative to the first frame; None for the whole video.
      end_seconds: the end, relative to the first frame; None: the end of the video.
    """

    start_seconds: Fraction | None = None
    end_seconds: Fraction | None = None

    @classmethod
    def of(cls, start_seconds: Fraction | None, end_seconds: Fraction | None) -> TimeRange:
        """Returns the normalized range with these bounds."""
        if end_seconds is None:
            return cls(start_seconds) if start_seconds else WHOLE
        return cls(start_seconds or Fraction(0), end_seconds)

    @classmethod
    def from_texts(cls, texts: Sequence[str | None]) -> TimeRange:
        """Returns the range that `to_texts` wrote."""
        start, end = (None if text is None else Fraction(text) for text in texts)
        return cls(start, end)

    def to_texts(self) -> tuple[str | None, str | None]:
        """Returns both bounds as exact text, for JSON and Parquet."""
        start, end = (None if bound is None else str(bound) for bound in self)
        return start, end

    @property
    def start_ms(self) -> int | None:
        """The start in whole milliseconds, rounded."""
        return None if self.start_seconds is None else round(self.start_seconds * 1000)

    @property
    def end_ms(self) -> int | None:
        """The end in whole milliseconds, rounded."""
        return None if self.end_seconds is None else round(self.end_seconds * 1000)

    def is_inside(self, duration_seconds: Fraction) -> bool:
        """Returns whether the range lies in a video of this duration, except for rounding to a millisecond."""
        end = self.end_seconds
        return (self.start_seconds or 0) < duration_seconds and (end is None or end <= duration_seconds + _ROUNDING)

    def bounds(self, duration_seconds: Fraction) -> tuple[Fraction, Fraction]:
        """Returns the start and the end of the range in a video of this duration, in seconds."""
        end = duration_seconds if self.end_seconds is None else min(self.end_seconds, duration_seconds)
        return self.start_seconds or Fraction(0), end

    def __str__(self) -> str:
        """Returns the range as text: 10 s to 20.5 s."""
        end = "the end" if self.end_seconds is None else f"{float(self.end_seconds):g} s"
        return f"{float(self.start_seconds or 0):g} s to {end}"


WHOLE = TimeRange()


def input_key(video_uri: str, start_ms: int | None, end_ms: int | None) -> str:
    """Returns the unique key of an input, from the URI and the range in its row.

    The key of a range contains a zero byte, which is impossible in a URI.

    >>> input_key("https://host/a.mp4?sig=1", None, None)
    'https://host/a.mp4'
    """
    uri = bare_uri(video_uri)
    if start_ms is None and end_ms is None:
        return uri
    return f"{uri}\0t={'' if start_ms is None else start_ms},{'' if end_ms is None else end_ms}"


def shown_input(video_uri: str, start_ms: int | None, end_ms: int | None) -> str:
    """Returns an input as text for reports: its URI, with a range as a media fragment in seconds.

    >>> shown_input("/data/a.mp4", 10_000, 20_500)
    '/data/a.mp4#t=10,20.5'
    """
    if start_ms is None and end_ms is None:
        return video_uri
    end = "" if end_ms is None else f",{end_ms / 1000:g}"
    return f"{video_uri}#t={(start_ms or 0) / 1000:g}{end}"
