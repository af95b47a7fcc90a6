"""Make the filmstrips of all shown clips, several videos at a time."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED
from typing import NamedTuple

from reelbeam.transforms import metrics, storage
from reelbeam.transforms.filmstrips.filmstrip import NoFilmstrip, Pictures
from reelbeam.transforms.filmstrips.recorded_runs import RunSettings, read_settings
from reelbeam.transforms.filmstrips.video_filmstrips import VideoClips, VideoDecoder
from reelbeam.transforms.media.sandbox.sandboxed import Sandbox
from reelbeam.transforms.output.report_content.shown_clips import ClipKey, ShownClip
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.storage.spool.folder import DEFAULT_SPOOL, SpoolConfig

_MAX_CLIPS_AT_ONCE = 16
_SECONDS_BETWEEN_REPORTS = 1.0


class Progress(NamedTuple):
    """How far `make_filmstrips` is.

    Attributes:
      done, total: numbers of distinct clips.
      bytes_fetched: what was read from object stores.
    """

    done: int
    total: int
    bytes_fetched: int


class RemoteVideos(NamedTuple):
    """The remote videos of some clips.

    Attributes:
      num_videos: the number of distinct videos.
      max_bytes: the sum of their sizes. No more than this is fetched.
    """

    num_videos: int
    max_bytes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilmstripOptions:
    """How filmstrips are made.

    Attributes:
      num_threads: the number of videos that are decoded at a time.
      max_video_seconds: how long reading or decoding one video may take, and how long fetching it may take.
      spool: where remote videos are kept on local disk.
      allow_unconfined: whether to decode if the system cannot confine a process, see `DecoderLimits`.
    """

    num_threads: int = 2
    max_video_seconds: float = 120
    spool: SpoolConfig = DEFAULT_SPOOL
    allow_unconfined: bool = False


def remote_videos(clips: Iterable[ShownClip]) -> RemoteVideos:
    """Returns how many remote videos `make_filmstrips` would fetch, without reading anything."""
    remote = {_video_of(clip) for clip in clips if storage.local_path(clip.key.video_uri) is None}
    return RemoteVideos(len(remote), sum(video.size_bytes or 0 for video in remote))


def make_filmstrips(
    clips: Iterable[ShownClip],
    output: str,
    options: FilmstripOptions = FilmstripOptions(),
    report: Callable[[Progress], None] = lambda progress: None,
) -> dict[ClipKey, Pictures]:
    """Returns the pictures of each clip, or the reason why it has none.

    Args:
      clips: rows of the clips table; a clip may occur several times.
      output: the folder or prefix of the output, which has the documents of their runs.
      options: how the filmstrips are made.
      report: called with the progress in the thread of the caller, after each video and at least once a second.

    Raises:
      RunError: a decoder process does not start.
      ConfigError: a decoder process cannot be confined.
    """
    distinct = {clip.key: clip for clip in clips}
    settings = read_settings(output, (key.run_id for key in distinct), options.allow_unconfined)
    found: dict[ClipKey, Pictures] = {}
    readable: list[tuple[ShownClip, RunSettings]] = []
    for key, clip in distinct.items():
        of_run = settings[key.run_id]
        if isinstance(of_run, NoFilmstrip):
            found[key] = of_run
        else:
            readable.append((clip, of_run))
    fetched_before = metrics.tally()[metrics.BYTES_FETCHED]
    with contextlib.closing(_made_in_threads(_by_video(readable), options)) as videos:
        for made in videos:
            found.update(made)
            report(Progress(len(found), len(distinct), metrics.tally()[metrics.BYTES_FETCHED] - fetched_before))
    return {key: found[key] for key in distinct}


def _video_of(clip: ShownClip) -> VideoRef:
    return VideoRef(clip.key.video_uri, clip.size_bytes, clip.content_version)


def _by_video(clips: Iterable[tuple[ShownClip, RunSettings]]) -> list[VideoClips]:
    """Groups clips by video and settings; the largest groups are first, so that all threads end at about one time."""
    groups: dict[tuple[VideoRef, RunSettings], list[ShownClip]] = {}
    for clip, settings in clips:
        groups.setdefault((_video_of(clip), settings), []).append(clip)
    parts = [
        VideoClips(video, settings, part)
        for (video, settings), found in groups.items()
        for part in _parts(sorted(found, key=lambda clip: clip.start_ms))
    ]
    return sorted(parts, key=lambda part: len(part.clips), reverse=True)


def _parts(clips: Sequence[ShownClip]) -> Iterator[Sequence[ShownClip]]:
    """Divides the clips of a video, so that several threads share one of which many clips are shown."""
    yield from (clips[first : first + _MAX_CLIPS_AT_ONCE] for first in range(0, len(clips), _MAX_CLIPS_AT_ONCE))


def _made_in_threads(
    videos: Sequence[VideoClips], options: FilmstripOptions
) -> Generator[list[tuple[ClipKey, Pictures]], None, None]:
    """Yields pictures when a video is done, and an empty list if that takes long.

    If the caller stops early, the decoders are killed and no video is begun.
    """
    stopped = threading.Event()
    with (
        contextlib.closing(Sandbox()) as sandbox,
        concurrent.futures.ThreadPoolExecutor(options.num_threads) as pool,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(sandbox.close)
        stack.callback(stopped.set)
        decoder = VideoDecoder(sandbox, options.spool, options.max_video_seconds)

        def make(video: VideoClips) -> list[tuple[ClipKey, Pictures]]:
            return [] if stopped.is_set() else list(decoder.filmstrips(video))

        pending = {pool.submit(make, video) for video in videos}
        while pending:
            done, pending = concurrent.futures.wait(pending, _SECONDS_BETWEEN_REPORTS, FIRST_COMPLETED)
            yield [made for future in done for made in future.result()]
