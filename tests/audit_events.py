"""What this process does to files, as the interpreter's own audit events say: nothing has to be replaced to see it."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

OnEvent = Callable[[str, tuple[Any, ...]], None]

_on_event: OnEvent | None = None


@contextlib.contextmanager
def audited(on_event: OnEvent) -> Iterator[None]:
    """Calls a function before each audited operation of this thread, in the block. What it raises is the outcome."""
    global _on_event
    thread = threading.get_ident()
    _on_event = lambda event, given: on_event(event, given) if threading.get_ident() == thread else None  # noqa: E731
    try:
        yield
    finally:
        _on_event = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _on_event is not None:
        _on_event(event, arguments)


sys.addaudithook(_hook)  # there is no way to remove one
