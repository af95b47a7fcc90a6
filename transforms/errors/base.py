"""The base of all errors."""

from __future__ import annotations

from collections.abc import Iterator


class ReelbeamError(Exception):
    """Base of the tree. `code` names the error for machines; `transient` says that a later try may succeed."""

    code: str = "error"
    transient: bool = False


def error_classes(root: type[ReelbeamError] = ReelbeamError) -> Iterator[type[ReelbeamError]]:
    """Yields every class below `root`, parents first."""
    for child in root.__subclasses__():
        yield child
        yield from error_classes(child)
