"""The values of settings: their texts, their ranges and their names."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import difflib
import math
import re
from fractions import Fraction
from typing import TypeAlias

from reelbeam.transforms.errors import ConfigError, error_classes
from reelbeam.transforms.records import ALL_CODES
from reelbeam.transforms.records.exact_numbers import parse_exact

Number: TypeAlias = int | float | Fraction

_MEBIBYTE = 1 << 20
_UNITS = {"kib": 1 << 10, "mib": _MEBIBYTE, "gib": 1 << 30, "tib": 1 << 40}
_WITH_UNIT = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]iB)", re.ASCII | re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Range:
    """The numbers that a setting accepts.

    Attributes:
      lowest: the lower bound.
      highest: the upper bound. The default is the largest integer that JSON represents exactly.
      is_open: whether the lower bound itself is refused.
    """

    lowest: Number = 1
    highest: Number = 1 << 53
    is_open: bool = False

    def require(self, name: str, value: Number) -> None:
        """Raises ConfigError if a value is out of range, or not a number.

        Args:
          name: the setting's, for the message.
          value: the value.
        """
        is_high_enough = value > self.lowest if self.is_open else value >= self.lowest
        if is_high_enough and value <= self.highest:
            return
        lowest, highest = number_text(self.lowest), number_text(self.highest)
        if (self.lowest, self.highest) == (0, 1):
            wanted = "from 0 to 1"
        elif is_high_enough:
            wanted = f"at most {highest}"
        else:
            wanted = f"above {lowest}" if self.is_open else f"at least {lowest}"
        raise ConfigError(f"{name} is {number_text(value)}: it must be {wanted}")


def require_name(name: str, value: str | None, any_bytes: bool = False) -> None:
    """Raises ConfigError if the name of a file or folder is blank, or ends after SCHEME://.

    A blank name would mean the working directory, and `s3://` a local folder.

    Args:
      name: the setting's, for the message.
      value: the name of the file or folder; None is accepted.
      any_bytes: whether it may have bytes that are not UTF-8.
    """
    if value is not None and (not value.strip() or re.fullmatch(r"\w+://", value)):
        raise ConfigError(f"{name} is {value!r}: it must be a name; a shell variable may be unset")
    if value is not None and not any_bytes and not is_utf8(value):
        raise ConfigError(f"{name} is {value!r}: it must be UTF-8; rename the file or folder, or make a link to it")


def is_utf8(name: str) -> bool:
    """Returns whether a name from the system is UTF-8: Python represents other bytes as surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def number_text(value: Number) -> str:
    """Returns a number in its usual notation.

    >>> [number_text(value) for value in (1 << 53, Fraction(1, 100), Fraction(10**9), float("inf"))]
    ['9007199254740992', '0.01', '1e+09', 'inf']
    """
    return str(value) if isinstance(value, int) else f"{float(value):g}"


def byte_text(value: float) -> str:
    """Returns a number of bytes in a binary unit.

    >>> byte_text(64 << 20), byte_text(2 << 30)
    ('64 MiB', '2 GiB')
    """
    mebibytes = value / _MEBIBYTE
    return f"{mebibytes:g} MiB" if mebibytes < 1024 else f"{mebibytes / 1024:g} GiB"


def byte_count(text: str) -> int:
    """Returns a number of bytes, which may have a binary unit; raises ArgumentTypeError.

    >>> byte_count("1000"), byte_count("300KiB"), byte_count("1.5 GiB")
    (1000, 307200, 1610612736)
    """
    with_unit = _WITH_UNIT.fullmatch(text.strip())
    try:
        return int(text) if with_unit is None else int(parse_exact(with_unit[1]) * _UNITS[with_unit[2].lower()])
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of bytes, such as 1000000000 or 14MiB") from error


def square_text(value: float) -> str:
    """Returns a number of pixels as the size of a square picture.

    >>> square_text(8192 * 8192)
    '8192 x 8192'
    """
    side = math.isqrt(int(value))
    return f"{side} x {side}"


def exact_number(text: str) -> Fraction:
    """Returns a positive or negative number; raises ArgumentTypeError."""
    try:
        return parse_exact(text.strip())
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number such as 5, 12.5 or 30000/1001") from error


def time(text: str) -> float:
    """Returns a time in seconds since 1970, in UTC if it has no offset; raises ArgumentTypeError."""
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time such as 2026-01-31 or 2026-01-31T06:00+02:00"
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).timestamp()


def error_codes(text: str) -> list[str]:
    """Returns the error codes of a list a,b; raises ArgumentTypeError."""
    known = {ALL_CODES, *(error.code for error in error_classes())}
    codes = [code.strip() for code in text.split(",") if code.strip()]
    for code in codes:
        if code not in known:
            near = difflib.get_close_matches(code, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise argparse.ArgumentTypeError(f"{code!r} is not an error code{hint}")
    return codes


def shard(text: str) -> tuple[int, int]:
    """Returns (I - 1, N) for the share I/N; raises ArgumentTypeError."""
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a share such as 1/4, 2/4, 3/4, 4/4")
    return int(index) - 1, int(count)
