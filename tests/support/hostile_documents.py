"""Documents of an output, as an attacker would write them."""

from __future__ import annotations

import copy
import json
import pathlib
import random
from collections.abc import Iterator
from typing import Any

_VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1 << 62, 10**400, 1e308, -0.5, float("nan"), float("inf")),
    *("", "..", "../../canary", "/etc/passwd", "x/../../canary.parquet", "\x1b]0;owned\x07\x1b[31m", "\0", "é" * 5000),
    *("videos/run=../../part-00000.parquet", "runs/../../canary/videos/run=r/part-00000.parquet", "\ud800"),
    *("9999-12-31T23:59:59+00:00", "2026-01-01T00:00:00", "2026-01-01\x1b00:00:00+00:00"),
    *({}, [], [[]], [{}], {"": None}, [None] * 100, {"a": {"b": {"c": []}}}),
)
_TEXTS = (
    "[" * 100_000,
    '{"a":' * 100_000,
    "",
    "null",
    "[]",
    '"x"',
    "1" * 5000,
    '{"a": ' + "1" * 5000 + "}",
    "\0\0\0\0",
)


def variants(document: dict[str, Any], number: int, seed: int) -> Iterator[bytes]:
    """Yields mutations of a document: values of other kinds, keys gone or added, text cut, nested or random."""
    chance = random.Random(seed)
    yield from (text.encode() for text in _TEXTS)
    for _ in range(number):
        mutated = copy.deepcopy(document)
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            _mutate(mutated, chance)
        text = json.dumps(mutated).encode()
        if chance.random() < 0.1:
            text = text[: chance.randrange(len(text))] + chance.randbytes(chance.choice((0, 3)))
        yield text


def _mutate(node: Any, chance: random.Random) -> None:
    """Changes one value in the document, at any depth."""
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(node[key], dict | list) and node[key] and chance.random() < 0.6:
            node = node[key]
            continue
        if chance.random() < 0.15:
            del node[key]
        else:
            node[key] = copy.deepcopy(chance.choice(_VALUES))
        return


def snapshot(folder: pathlib.Path) -> dict[str, tuple[int, bytes]]:
    """Returns what is in a folder, with its times."""
    return {
        str(path): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() and not path.is_symlink() else b"")
        for path in sorted(folder.rglob("*"))
    }
