"""Parameters of which the fast suite takes some: each kind once there, all of them in `make test-all`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def fast_first(values: Iterable[Any], fast: int = 1) -> list[Any]:
    """Returns values for `parametrize`; all but the first `fast` ones are marked as slow."""
    return [value if k < fast else pytest.param(value, marks=pytest.mark.slow) for k, value in enumerate(values)]


def fast_rows(rows: Iterable[tuple[Any, ...]], fast: int = 1) -> list[Any]:
    """Does what `fast_first` does where a test has several parameters: each row has a value for each."""
    return [row if k < fast else pytest.param(*row, marks=pytest.mark.slow) for k, row in enumerate(rows)]


def one_of_each(values: Iterable[Any], kind: Callable[[Any], object]) -> list[Any]:
    """Returns values for `parametrize`; all but the first one of each kind are marked as slow."""
    seen: set[object] = set()
    cases = []
    for value in values:
        cases.append(pytest.param(value, marks=pytest.mark.slow) if kind(value) in seen else value)
        seen.add(kind(value))
    return cases
