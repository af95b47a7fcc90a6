"""The line that tells how far a local run is."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.status import Status

from transforms import metrics

_SECONDS_BETWEEN_LINES = {True: 0.25, False: 15.0}
"""How often the line is drawn: on a terminal, over itself; in a log file, as a new line."""


class ProgressLine:
    """While it is open, shows on stderr the tally of this process: videos done and failed, clips, speed.

    Args:
      enabled: whether to show anything.
      source: tells the line instead, where the workers are not in this process; must not raise.
    """

    def __init__(self, enabled: bool, source: Callable[[], str] | None = None) -> None:
        self._enabled = enabled
        self._source = source
        self._console = Console(file=sys.stderr, highlight=False)
        self._stop = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)

    def __enter__(self) -> ProgressLine:
        if self._enabled:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._enabled:
            self._thread.join()

    def _show(self) -> None:
        pause = _SECONDS_BETWEEN_LINES[self._console.is_terminal]
        if not self._console.is_terminal:
            while not self._stop.wait(pause):
                self._console.print(self.line(), markup=False)
            return
        with Status(self.line(), console=self._console) as status:
            while not self._stop.wait(pause):
                status.update(self.line())

    def line(self) -> str:
        """Returns the line as it is now."""
        if self._source:
            return self._source()
        return progress_line(metrics.tally(), time.monotonic() - self._started)


def progress_line(tally: dict[str, int], elapsed_seconds: float) -> str:
    """Returns the progress as text.

    >>> progress_line({"videos_listed": 30, "videos_done": 12, "videos_broken": 1, "clips_classified": 84,
    ...     "video_ms_decoded": 700_000}, elapsed_seconds=20)
    '12/30 videos, 1 failed, 84 clips, 35.0 video-seconds/s'
    """
    done, listed = tally.get(metrics.VIDEOS_DONE, 0), tally.get(metrics.VIDEOS_LISTED, 0)
    speed = tally.get(metrics.VIDEO_MS_DECODED, 0) / 1000 / max(elapsed_seconds, 1e-3)
    return (
        f"{done}/{listed} videos, {tally.get(metrics.VIDEOS_BROKEN, 0)} failed, "
        f"{tally.get(metrics.CLIPS_CLASSIFIED, 0)} clips, {speed:.1f} video-seconds/s"
    )
