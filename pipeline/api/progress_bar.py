"""The progress of `label`: a widget in a notebook, a line on a terminal or in a log."""

from __future__ import annotations

import sys
import time
import warnings
from types import TracebackType
from typing import Any

from reelbeam.pipeline.api.local_run import Tally
from reelbeam.transforms.wording import counted

_SECONDS_BETWEEN_DRAWINGS = 0.2
_SECONDS_BETWEEN_LINES = 15.0
_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"


class ProgressBar:
    """Shows a Tally on stderr while it is open.

    Args:
      enabled: whether to show anything. Nothing is shown if stderr is closed.
    """

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled and sys.stderr is not None and not sys.stderr.closed
        self._bar: Any = None
        self._has_clips = False

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, tally: Tally) -> None:
        """Shows the state of the work: first the headers that were read, then the clips that are done."""
        if not self._enabled:
            return
        if self._bar is None:
            self._bar = _bar(tally.num_videos)
        if tally.clips_planned and not self._has_clips:
            self._has_clips = True
            self._bar.reset(total=tally.clips_planned)
        self._bar.set_description_str(progress_text(tally), refresh=False)
        self._bar.update((tally.clips_done if self._has_clips else tally.videos_planned) - self._bar.n)


def progress_text(tally: Tally) -> str:
    """Returns the state of the work as text.

    >>> progress_text(Tally(3, videos_planned=2))
    '3 videos, headers of 2 read'
    """
    videos = counted(tally.num_videos, "video")
    if not tally.clips_planned:
        return f"{videos}, headers of {tally.videos_planned} read"
    speed = tally.video_seconds / max(time.monotonic() - tally.started_at, 1e-3)
    clips = counted(tally.clips_done, "clip")
    return f"{tally.videos_done}/{videos}, {tally.videos_broken} failed, {clips}, {speed:.1f} video-seconds/s"


def _bar(total: int) -> Any:
    """Returns a bar of tqdm's: the one for notebooks in a kernel that has ipywidgets, otherwise the one for text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm.auto warns of notebooks without ipywidgets, where text is fine
        from tqdm.auto import tqdm

    class Bar(tqdm):
        monitor_interval = 0  # a thread of tqdm's, which would never end

    is_live = sys.stderr.isatty() or "notebook" in tqdm.__module__
    pause = _SECONDS_BETWEEN_DRAWINGS if is_live else _SECONDS_BETWEEN_LINES
    return Bar(total=total, file=sys.stderr, mininterval=pause, bar_format=_FORMAT, dynamic_ncols=is_live, leave=False)
