"""Watches what this process does to files, by the interpreter's audit events; nothing is replaced."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

OnEvent = Callable[[str, tuple[Any, ...]], None]

_on_event: OnEvent | None = None


@contextlib.contextmanager
def audited(on_event: OnEvent, in_all_threads: bool = False) -> Iterator[None]:
    """Calls a function before each audited operation of this thread, in the block. What it raises is the outcome."""
    global _on_event
    thread = threading.get_ident()

    def of_thread(event: str, arguments: tuple[Any, ...]) -> None:
        if in_all_threads or threading.get_ident() == thread:
            on_event(event, arguments)

    _on_event = of_thread
    try:
        yield
    finally:
        _on_event = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _on_event is not None:
        _on_event(event, arguments)


sys.addaudithook(_hook)  # a hook cannot be removed
