"""Parameters of which the fast suite takes some: each kind once there, all of them in `make test-all`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def fast_first(values: Iterable[Any], fast: int = 1) -> list[Any]:
    """Returns values for `parametrize`; all but the first `fast` ones are marked as slow."""
    return [value if k < fast else pytest.param(value, marks=pytest.mark.slow) for k, value in enumerate(values)]
