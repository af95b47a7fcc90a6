"""Parse exact numbers from untrusted text: flags, list files, manifests of models."""

from __future__ import annotations

import decimal
import numbers
import re
from fractions import Fraction

# Fraction("1e999999999") computes all digits of the number. These lengths are enough for real values.
_DECIMAL = r"(\d{1,40}(\.\d{0,40})?|\.\d{1,40})(e(\+?\d{1,2}|-\d{1,3}))?"
_EXACT = re.compile(rf"[+-]?({_DECIMAL}|\d{{1,100}}/\d{{1,100}})", re.IGNORECASE | re.ASCII)


def parse_exact(text: object) -> Fraction:
    """Returns the number that a text states, such as 5, 12.5, 1e-3 or 30000/1001, exactly.

    Raises:
      ValueError: the value is not such a text, or has too many digits.

    >>> parse_exact("12.5"), parse_exact("30000/1001")
    (Fraction(25, 2), Fraction(30000, 1001))
    """
    if not isinstance(text, str) or not _EXACT.fullmatch(text):
        raise ValueError(f"{repr(text)[:80]} is not a number such as 5, 12.5 or 30000/1001")
    try:
        return Fraction(text)
    except ZeroDivisionError as error:
        raise ValueError(f"{text!r} divides by zero") from error


MAX_SECONDS = 10**9
"""The most seconds that a list of videos or a truth file may state, thirty years: in milliseconds, this fits into a
table's column."""


def parse_seconds(value: object) -> Fraction | None:
    """Returns the seconds in a field of a row exactly as its decimal text states; None for an empty value.

    Args:
      value: a text or a number, NumPy's too; of a JSON file it may be anything.

    Raises:
      ValueError: it is not a decimal number. The caller names the place, and checks the range.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, Fraction):
        return value
    is_number = isinstance(value, str | numbers.Real | decimal.Decimal) and not isinstance(value, bool)
    text = str(value).strip() if is_number else ""
    if "/" in text:  # files state seconds as decimals only
        raise ValueError(text)
    return parse_exact(text)
