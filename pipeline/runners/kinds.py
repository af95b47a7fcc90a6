"""What a runner is called. Beam takes a name in any case, with and without "Runner", and a class's dotted path."""

from __future__ import annotations

LOCAL = frozenset({"", "direct", "fnapi", "fn_api"})
"""Beam's runners that run in this process, or would; "": none is named."""


def kind(runner: str | None) -> str:
    """Returns the one name of a runner by which it is compared.

    >>> [kind(name) for name in ("DataflowRunner", "flink", "apache_beam.runners.direct.DirectRunner", None)]
    ['dataflow', 'flink', 'direct', '']
    """
    return (runner or "").rpartition(".")[2].lower().removesuffix("runner")
