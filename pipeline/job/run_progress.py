"""The progress of a run over all of its parts: for the progress line, and for `reelbeam status`."""

from __future__ import annotations

import collections
import time

from reelbeam.pipeline.terminal.progress import Stage
from reelbeam.transforms import metrics
from reelbeam.transforms.output.lock.lock_file import LockProgress
from reelbeam.transforms.output.runs import utc_now
from reelbeam.transforms.wording import counted

_ADDED_UP = (metrics.VIDEOS_DONE, metrics.VIDEOS_BROKEN, metrics.CLIPS_CLASSIFIED, metrics.VIDEO_MS_DECODED)


class RunProgress:
    """Adds up the progress of the parts of a run.

    The progress within a part comes from the counters of this process. It is unknown for workers elsewhere.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._before: collections.Counter[str] = collections.Counter()
        self._num_videos: int | None = None
        self._part_videos: int | None = None

    def begin(self, num_videos: int) -> None:
        """Sets the number of videos to label in all parts."""
        self._num_videos = num_videos
        self._started = time.monotonic()

    def begin_part(self, num_videos: int) -> None:
        """Starts a part with this number of videos. All videos of the part before are done."""
        if self._part_videos is not None:
            tally = metrics.tally()
            self._before.update({name: tally[name] for name in _ADDED_UP})
            self._before[metrics.VIDEOS_DONE] += self._part_videos - tally[metrics.VIDEOS_DONE]
        metrics.reset_tally(metrics.DUPLICATES_DROPPED)
        self._part_videos = num_videos

    def stage(self) -> Stage:
        """Returns the current progress."""
        tally = metrics.tally()
        num_videos = self._part_videos
        if num_videos is None:  # one job lists and labels, or only lists
            num_videos = tally[metrics.VIDEOS_LISTED] - tally[metrics.VIDEOS_SKIPPED]
        num_read = tally[metrics.VIDEOS_PLANNED] + tally[metrics.VIDEOS_BROKEN]
        if not num_read and self._num_videos is None:
            return Stage(f"{counted(tally[metrics.VIDEOS_LISTED], 'video')} listed")
        total = num_videos if self._num_videos is None else self._num_videos
        before = self._before[metrics.VIDEOS_DONE]
        if num_read < num_videos:  # no video is decoded before the headers of all are read
            return Stage(f"{before}/{counted(total, 'video')}, headers of {num_read} read", before, total)
        done = {name: self._before[name] + tally[name] for name in _ADDED_UP}
        text = progress_line(done, total, time.monotonic() - self._started)
        return Stage(text, before + num_videos * _share(tally, num_videos), total)

    def for_lock(self) -> LockProgress | None:
        """Returns the progress to write into the output's lock; None while it is unknown."""
        if self._num_videos is None:
            return None
        done = self._before[metrics.VIDEOS_DONE] + metrics.tally()[metrics.VIDEOS_DONE]
        return LockProgress(done, self._num_videos, utc_now().isoformat())


def _share(tally: collections.Counter[str], num_videos: int) -> float:
    """Returns the share of a part that is done, by its clips: all clips cost about the same."""
    if tally[metrics.CLIPS_PLANNED]:
        return (tally[metrics.CLIPS_CLASSIFIED] + tally[metrics.CLIPS_UNCLASSIFIED]) / tally[metrics.CLIPS_PLANNED]
    return tally[metrics.VIDEOS_DONE] / num_videos if num_videos else 1.0


def progress_line(done: dict[str, int], num_videos: int, elapsed_seconds: float) -> str:
    """Returns the progress as text.

    >>> progress_line({"videos_done": 12, "videos_broken": 1, "clips_classified": 84, "video_ms_decoded": 700_000},
    ...     num_videos=30, elapsed_seconds=20)
    '12/30 videos, 1 failed, 84 clips, 35.0 video-seconds/s'
    """
    speed = done[metrics.VIDEO_MS_DECODED] / 1000 / max(elapsed_seconds, 1e-3)
    return (
        f"{done[metrics.VIDEOS_DONE]}/{counted(num_videos, 'video')}, {done[metrics.VIDEOS_BROKEN]} failed, "
        f"{counted(done[metrics.CLIPS_CLASSIFIED], 'clip')}, {speed:.1f} video-seconds/s"
    )
