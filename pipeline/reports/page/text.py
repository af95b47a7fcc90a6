"""Text that is safe to show, numbers, times and places in videos."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from markupsafe import Markup

from reelbeam.transforms.output.comparison import wording
from reelbeam.transforms.redaction import bare_uri, without_query

MAX_URI, MAX_MESSAGE, MAX_LABEL, MAX_TEXT = 300, 500, 120, 2000
_TAIL = 28
_MAX_READ = 4000
_MAX_FIXED = 1000
_MAX_MS = 1 << 53

# Control characters, the marks that change the direction of text, invisible characters, and lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def clean(text: str) -> str:
    r"""Returns text without characters that are invisible or that change its direction: they become escapes.

    >>> clean("a\u202eb\x00")
    'a\\u202eb\\x00'
    """
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def shown(value: object) -> object:
    """Returns the value of an expression in a template as it is shown: cleaned, and not too long."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return clean(end_cut(value, MAX_TEXT))
    return value


def end_cut(text: str, most: int) -> str:
    """Returns at most `most` characters of a text, with an ellipsis at the end of what is cut."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def middle_cut(text: str, most: int) -> str:
    """Returns at most `most` characters of a text, with an ellipsis in the middle of what is cut.

    >>> middle_cut("abcdefghij", 7)
    'abc…hij'
    """
    if len(text) <= most:
        return text
    head = most // 2
    return f"{text[:head]}…{text[len(text) - (most - head - 1) :]}"


def shown_uri(uri: str) -> str:
    """Returns a URI without secrets, capped in the middle."""
    return middle_cut(clean(bare_uri(uri)), MAX_URI)


def head_and_tail(uri: str) -> tuple[str, str]:
    """Returns a shown URI in two parts. A narrow screen truncates the first one only."""
    text = shown_uri(uri)
    return text[:-_TAIL], text[-_TAIL:]


def search_key(words: Sequence[str], uris: Sequence[str]) -> str:
    """Returns what the search field compares: words and the URIs that they belong to, without secrets.

    Only URIs of thousands of characters are cut, in the middle.

    >>> search_key(["archery", "yoga"], ["https://me:pw@host/a.mp4?signature"])
    'archery yoga https://host/a.mp4'
    """
    known = " ".join(dict.fromkeys(clean(word) for word in words))[:MAX_TEXT]
    room = (MAX_TEXT - len(known)) // max(1, len(uris)) - 1
    return " ".join(filter(None, [known, *(middle_cut(clean(bare_uri(uri)), max(room, 1)) for uri in uris)]))


def file_name(uri: str) -> str:
    """Returns the last part of a URI, or all of it if that is empty.

    >>> file_name("gs://bucket/day 1/a.mp4")
    'a.mp4'
    """
    whole = clean(bare_uri(uri)).rstrip("/")
    return middle_cut(whole.rpartition("/")[2] or whole, MAX_LABEL)


def shown_message(message: str) -> str:
    """Returns an error text without secrets, capped at its end."""
    return end_cut(clean(_redacted(message)), MAX_MESSAGE)


def shown_label(label: str) -> str:
    """Returns a label or another name without secrets, capped at its end: any text can be in a row."""
    return end_cut(clean(_redacted(label)), MAX_LABEL)


def _redacted(text: str) -> str:
    """Returns the beginning of a text without secrets. Finding them may take the square of its length."""
    return without_query(text[:_MAX_READ])


def clock(milliseconds: int) -> str:
    """Returns a place in a video; "–" for a number that cannot be one.

    >>> clock(72_500), clock(3_605_000), clock(-(1 << 63))
    ('1:12.5', '1:00:05.0', '–')
    """
    if abs(milliseconds) >= _MAX_MS:
        return "–"
    tenths = round(milliseconds / 100)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


def whole_clock(milliseconds: int) -> str:
    """Returns a place in a video without tenths of seconds, for axes.

    >>> whole_clock(72_000)
    '1:12'
    """
    return clock(milliseconds).partition(".")[0]


def span(start_ms: int, end_ms: int | None) -> str:
    """Returns a part of a video as text."""
    return f"{clock(start_ms)} – {'end' if end_ms is None else clock(end_ms)}"


def number(value: int) -> str:
    """Returns an integer with thin spaces between groups of three digits."""
    return f"{value:,}".replace(",", "\u202f")


def many(value: int, noun: str) -> str:
    """Returns a number with its noun, whose plural ends in "s"."""
    return f"{number(value)} {noun if value == 1 else noun + 's'}"


def percent(part: float, whole: float) -> str:
    """Returns a share in percent; small ones are not rounded to 0, nor large ones to 100.

    >>> percent(1, 3), percent(1, 5000), percent(4999, 5000), percent(0, 0)
    ('33 %', '< 0.1 %', '> 99.9 %', '–')
    """
    if not whole:
        return "–"
    return wording.percent(part / whole)


def points(share: float) -> str:
    """Returns a difference of shares in percentage points, with a typographic minus.

    >>> points(-0.1)
    '−10'
    """
    return wording.points(share).replace("-", "−")


def size(num_bytes: int) -> str:
    """Returns a number of bytes with a decimal unit.

    >>> size(999), size(15_000_000)
    ('999 B', '15 MB')
    """
    value, unit = float(num_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"


def score(value: float) -> str:
    """Returns a score with two digits; a number that is not a score is short, too.

    >>> score(0.25), score(float("nan")), score(-3e38)
    ('0.25', '–', '-3e+38')
    """
    if not math.isfinite(value):
        return "–"
    return f"{value:.2f}" if abs(value) < _MAX_FIXED else f"{value:.2g}"
