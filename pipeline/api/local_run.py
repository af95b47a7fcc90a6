"""Labels videos in threads of this process. The unit of work is a segment, so a long video occupies all threads."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from reelbeam.transforms.labeling.video_labeler import LabeledVideo, PreparedVideo, SegmentResult, VideoLabeler
from reelbeam.transforms.labeling.video_plan import segment_weight
from reelbeam.transforms.records import SegmentSpan, VideoRef

_SECONDS_BETWEEN_REPORTS = 0.2
_SECONDS_TO_END = 1.0
"""How long an interruption waits for threads. A thread that runs the model ends after its batch."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclasses.dataclass
class Tally:
    """How far the work is.

    Attributes:
      num_videos: the number of videos.
      videos_planned: the videos whose headers were read.
      videos_done, videos_broken: the videos that are done, and those of them with a failure.
      clips_planned: the clips of all videos; 0 until all headers are read.
      clips_done: the clips that were classified or lost.
      video_seconds: the duration of the video in the clips that were classified.
      started_at: when decoding began, by `time.monotonic`.
    """

    num_videos: int
    videos_planned: int = 0
    videos_done: int = 0
    videos_broken: int = 0
    clips_planned: int = 0
    clips_done: int = 0
    video_seconds: float = 0.0
    started_at: float = dataclasses.field(default_factory=time.monotonic)


class LocalRun:
    """Labels videos in threads. It is used for one call of `label`.

    Args:
      labeler: labels segments.
      num_threads: the number of threads, each with one decoder process.
      interrupt: ends the decoder processes, for which threads may wait.
      report: called in the calling thread, some times per second.
    """

    def __init__(
        self, labeler: VideoLabeler, num_threads: int, interrupt: Callable[[], None], report: Callable[[Tally], None]
    ) -> None:
        self._labeler = labeler
        self._num_threads = num_threads
        self._interrupt = interrupt
        self._report = report
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    def label(self, videos: Sequence[VideoRef]) -> Generator[LabeledVideo, None, None]:
        """Yields the results of videos, each as soon as it is complete.

        The work ends within about a second if the caller closes the generator or is interrupted, or a thread raises.
        """
        self._tally = Tally(len(videos))
        with self._threads() as pool:
            prepared = []
            for each in self._each(pool, self._labeler.plan, videos):
                prepared.append(each.result())
                self._tally.videos_planned += 1
            yield from self._label_planned(pool, prepared)

    def _label_planned(
        self, pool: ThreadPoolExecutor, prepared: Sequence[PreparedVideo]
    ) -> Generator[LabeledVideo, None, None]:
        self._tally.clips_planned = sum(len(segment.clips) for each in prepared for segment in each.segments)
        self._tally.started_at = time.monotonic()
        # The heaviest first, so that all threads end at about one time.
        work = [(number, segment) for number, each in enumerate(prepared) for segment in each.segments]
        work.sort(key=lambda item: segment_weight(item[1]), reverse=True)
        results: list[list[SegmentResult]] = [[] for _ in prepared]
        for number, each in enumerate(prepared):
            if not each.segments:
                yield self._completed(each, results[number])
        for done in self._each(pool, self._label_segment, work):
            number, result = done.result()
            results[number].append(result)
            if len(results[number]) == len(prepared[number].segments):
                yield self._completed(prepared[number], results[number])
                results[number] = []

    def _completed(self, prepared: PreparedVideo, segments: Sequence[SegmentResult]) -> LabeledVideo:
        labeled = self._labeler.summarized(prepared, segments)
        self._tally.videos_done += 1
        self._tally.videos_broken += bool(labeled.failures)
        return labeled

    def _label_segment(self, item: tuple[int, SegmentSpan]) -> tuple[int, SegmentResult]:
        number, segment = item
        seconds = float(segment.clips[-1].end_seconds - segment.clips[0].start_seconds) / len(segment.clips)
        left = len(segment.clips)

        def report(num_clips: int) -> None:
            nonlocal left
            left -= num_clips
            self._count(num_clips, num_clips * seconds)

        result = self._labeler.label_segment(segment, self._stopped.is_set, report)
        self._count(left, 0.0)
        return number, result

    def _count(self, num_clips: int, video_seconds: float) -> None:
        with self._lock:
            self._tally.clips_done += num_clips
            self._tally.video_seconds += video_seconds

    @contextlib.contextmanager
    def _threads(self) -> Iterator[ThreadPoolExecutor]:
        """Provides threads, which have ended at the end of the block, unless an interruption finds one in the model."""
        pool = ThreadPoolExecutor(self._num_threads, thread_name_prefix="reelbeam")
        self._unfinished: set[Future] = set()
        try:
            yield pool
            pool.shutdown()
        except BaseException:
            self._stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            self._interrupt()
            begun = [call for call in self._unfinished if not call.cancelled()]
            running = concurrent.futures.wait(begun, _SECONDS_TO_END).not_done
            pool.shutdown(wait=not running)
            raise

    def _each(
        self, pool: ThreadPoolExecutor, call: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Iterator[Future[_Result]]:
        """Calls a function for each item, and yields the finished calls. Reports while it waits.

        It keeps no call that it has yielded: the scores of a long video take memory.
        """
        finished: queue.SimpleQueue[Future[_Result]] = queue.SimpleQueue()
        self._unfinished = {pool.submit(call, item) for item in items}
        for future in self._unfinished:
            future.add_done_callback(finished.put)
        for _ in range(len(self._unfinished)):
            found = self._next(finished)
            self._unfinished.discard(found)
            yield found

    def _next(self, finished: queue.SimpleQueue[Future[_Result]]) -> Future[_Result]:
        while True:
            try:
                found = finished.get(timeout=_SECONDS_BETWEEN_REPORTS)
            except queue.Empty:
                self._report(self._tally)
                continue
            self._report(self._tally)
            return found
