"""Spell flags with hyphens or underscores: `--clip-stride-seconds` is `--clip_stride_seconds`."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection, Sequence

_CLOSE = 0.75
"""The similarity from which a flag is suggested. Shorter names that begin alike, such as to and top_k, are below it."""


def respelled(argv: Sequence[str], known: Collection[str]) -> list[str]:
    """Returns a command line with each flag in the known spelling. Everything after `--` is unchanged.

    >>> respelled(["--top-k=3", "a-b", "--region", "--a-b", "--", "--top-k"], ["--top_k", "--region"])
    ['--top_k=3', 'a-b', '--region', '--a-b', '--', '--top-k']
    """
    spellings = {_key(name): name for name in sorted(known)} | {name: name for name in known}
    words = list(itertools.takewhile(lambda word: word != "--", argv))
    return [_respelled(word, spellings) for word in words] + list(argv[len(words) :])


def _respelled(word: str, spellings: dict[str, str]) -> str:
    name, equals, value = word.partition("=")
    if not name.startswith("--"):
        return word
    return f"{spellings.get(name) or spellings.get(_key(name), name)}{equals}{value}"


def is_given(flag: str, argv: Sequence[str]) -> bool:
    """Returns whether a switch is on a command line, before it is parsed."""
    return flag in respelled(argv, [flag])


def nearest(word: str, known: Collection[str]) -> str | None:
    """Returns the known flag that a misspelled one may mean; None if no flag is close.

    >>> nearest("--tail-polcy=drop", ["--tail_policy", "--top_k"])
    '--tail_policy'
    >>> nearest("--to", ["--top_k"])
    """
    names = {name.lstrip("-"): name for name in sorted(known)}
    near = difflib.get_close_matches(_key(word.partition("=")[0]).lstrip("-"), names, n=1, cutoff=_CLOSE)
    return names[near[0]] if near else None


def _key(name: str) -> str:
    return name[:2] + name[2:].replace("-", "_")
