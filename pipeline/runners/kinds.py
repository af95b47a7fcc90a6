"""Names of runners. Beam accepts a name in any case, with or without "Runner", and a class's dotted path."""

from __future__ import annotations

LOCAL = frozenset({"", "direct", "fnapi", "fn_api"})
"""Beam's runners that run in this process; "" means that none is named."""


def kind(runner: str | None) -> str:
    """Returns the canonical name of a runner.

    >>> [kind(name) for name in ("DataflowRunner", "flink", "apache_beam.runners.direct.DirectRunner", None)]
    ['dataflow', 'flink', 'direct', '']
    """
    return (runner or "").rpartition(".")[2].lower().removesuffix("runner")
