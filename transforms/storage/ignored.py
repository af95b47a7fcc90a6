"""Count skipped files by kind: files by extension, hidden files and folders, unreadable folders."""

from __future__ import annotations

import collections
import pathlib
import re
from collections.abc import Callable, Mapping

HIDDEN_FILE, HIDDEN_FOLDER, UNREADABLE_FOLDER = "hidden_file", "hidden_folder", "unreadable_folder"
MATCHED_FOLDER = "matched_folder"
"""Hidden: names that begin with a dot. Matched folder: a pattern matches it, but patterns name files only."""
NO_EXTENSION, OTHER_EXTENSION = "no_extension", "other_extension"
"""Kinds without an extension such as `.txt`. OTHER_EXTENSION: numeric or long extensions, and rare ones of many."""

FOLDERS = frozenset({HIDDEN_FOLDER, UNREADABLE_FOLDER, MATCHED_FOLDER})

Report = Callable[[str], None]
"""A function that is called with the kind of each skipped file or folder."""

_MAX_KINDS = 50
_MAX_KINDS_SHOWN = 6
_EXTENSION = re.compile(r"\.(?!\d+$)[a-z0-9+_-]{1,12}")
_PLURALS = {
    HIDDEN_FILE: ("hidden file", "hidden files"),
    HIDDEN_FOLDER: ("hidden folder", "hidden folders"),
    UNREADABLE_FOLDER: ("unreadable folder", "unreadable folders"),
    MATCHED_FOLDER: ("folder that a pattern matches", "folders that a pattern matches"),
    NO_EXTENSION: ("without extension", "without extension"),
    OTHER_EXTENSION: ("with another extension", "with other extensions"),
}


def extension_of(name: str) -> str:
    """Returns the extension of a path or a URI, in lower case, with its dot; "" if there is none."""
    return "" if name.endswith("/") else pathlib.PurePosixPath(name).suffix.lower()


def kind_of_file(name: str) -> str:
    """Returns the kind of a file without a video extension.

    >>> [kind_of_file(name) for name in ("a.TXT", "README", "frame.00017")]
    ['.txt', 'no_extension', 'other_extension']
    """
    extension = extension_of(name)
    if not extension:
        return NO_EXTENSION
    return extension if _EXTENSION.fullmatch(extension) else OTHER_EXTENSION


def most_frequent(ignored: Mapping[str, int]) -> dict[str, int]:
    """Returns counts by kind, most frequent first; rare extensions beyond a limit are added up."""
    counts = collections.Counter(dict(sorted(ignored.items())))
    for kind, number in counts.most_common()[_MAX_KINDS:]:
        if kind.startswith("."):
            del counts[kind]
            counts[OTHER_EXTENSION] += number
    return dict(counts.most_common())


def describe(ignored: Mapping[str, int]) -> str:
    """Returns counts as human-readable text; "" if nothing was skipped.

    >>> describe({".txt": 3, "hidden_file": 1})
    '3 .txt, 1 hidden file'
    """
    counts = most_frequent(ignored)
    shown = list(counts.items())[:_MAX_KINDS_SHOWN]
    parts = [f"{number} {_name(kind, number)}" for kind, number in shown]
    others = sum(counts.values()) - sum(number for _, number in shown)
    return ", ".join([*parts, f"{others} of other kinds"] if others else parts)


def _name(kind: str, number: int) -> str:
    singular, plural = _PLURALS.get(kind, (kind, kind))
    return singular if number == 1 else plural


def ignore(kind: str) -> None:
    """A `Report` that does nothing."""
