"""The progress line on stderr: redrawn in place on a terminal, printed at intervals in a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from reelbeam.pipeline.terminal import streams
from reelbeam.pipeline.terminal.streams import printable

_SECONDS_BETWEEN_DRAWINGS = 0.25
_SECONDS_BETWEEN_LINES = 15.0
_SECONDS_OF_SPEED = 300.0
"""The period from which the remaining time is estimated: one long video takes minutes."""


class Stage(NamedTuple):
    """The state of the work.

    Attributes:
      text: the current step.
      done, total: the amount of work, in any unit; None if the total is unknown.
    """

    text: str
    done: float = 0.0
    total: float | None = None


class _Line:
    """Draws the progress line."""

    def __init__(self) -> None:
        # Keep the current stream: `sys.stderr` may be replaced during a job.
        self._console = Console(file=sys.stderr, highlight=False)
        # rich would replace stdout and stderr with streams of its own and restore the old ones at the end.
        self._bar = Progress(
            _TextColumn(table_column=Column(no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=self._console,
            auto_refresh=False,
            speed_estimate_period=_SECONDS_OF_SPEED,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("", total=None)
        self.is_drawn = self._console.is_interactive
        self._drawn_at = time.monotonic()

    def start(self) -> None:
        if self.is_drawn:
            self._bar.start()
            streams.print_above.append(self._print_above)

    def stop(self) -> None:
        if self.is_drawn:
            streams.print_above.remove(self._print_above)
            self._bar.stop()

    def show(self, source: Callable[[], Stage]) -> None:
        """Draws or prints the result of `source`, if the last time was long enough ago."""
        pause = _SECONDS_BETWEEN_DRAWINGS if self.is_drawn else _SECONDS_BETWEEN_LINES
        if time.monotonic() - self._drawn_at < pause:
            return
        self._drawn_at = time.monotonic()
        stage = source()
        text = printable(stage.text)
        if self.is_drawn:
            self._bar.update(self._task, description=text, completed=stage.done, total=stage.total, refresh=True)
        else:
            share = f" ({stage.done / stage.total:.0%} of the work)" if stage.total else ""
            self._console.print(f"{text}{share}", markup=False, soft_wrap=True)

    def _print_above(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)


class _TextColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.description)


class ProgressLine:
    """Shows the result of `source` while it is open, from its own thread.

    Args:
      enabled: whether to show anything.
      source: returns the current state of the work; must not raise.
    """

    def __init__(self, enabled: bool, source: Callable[[], Stage]) -> None:
        self._enabled = enabled
        self._source = source
        self._line = _Line()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)

    def __enter__(self) -> ProgressLine:
        if self._enabled:
            self._line.start()
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._enabled:
            self._stop.set()
            self._thread.join()
            self._line.stop()

    def _show(self) -> None:
        while not self._stop.wait(_SECONDS_BETWEEN_DRAWINGS):
            self._line.show(self._source)


class WorkLine:
    """Shows the current item of the work while it is open."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._line = _Line()

    def __enter__(self) -> WorkLine:
        self._line.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._line.stop()

    def show(self, what: str) -> None:
        """Shows the next item."""
        self._line.show(lambda: Stage(f"{self._doing} {what}"))
