"""Make the filmstrips of one video: find it, plan its clips again, decode the shown frames and encode them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reelbeam.transforms import storage
from reelbeam.transforms.errors import (
    MediaError,
    OverLimitError,
    RangeOutsideVideoError,
    VideoChangedError,
    VideoNotFoundError,
)
from reelbeam.transforms.filmstrips.filmstrip import NoFilmstrip, Pictures
from reelbeam.transforms.filmstrips.pictures import draw_filmstrip
from reelbeam.transforms.filmstrips.recorded_runs import RunSettings
from reelbeam.transforms.filmstrips.store_health import StoreHealth
from reelbeam.transforms.filmstrips.tiles import MAX_TILES, middle_span, tile_span, tile_times, whole_geometry
from reelbeam.transforms.media.container.files import VideoFile, size_of
from reelbeam.transforms.media.container.sparse_reading import Window
from reelbeam.transforms.media.decoding.geometry import Geometry
from reelbeam.transforms.media.sampling.clips import max_num_clips
from reelbeam.transforms.media.sampling.video_plan import labeled_seconds, plan_some_clips
from reelbeam.transforms.media.sandbox.deadline import with_time_limit
from reelbeam.transforms.media.sandbox.protocol import NUM_SLOTS
from reelbeam.transforms.media.sandbox.sandboxed import Sandbox
from reelbeam.transforms.output.report_content.shown_clips import ClipKey, ShownClip
from reelbeam.transforms.records import ClipSpan, MediaInfo, VideoRef
from reelbeam.transforms.records.time_range import TimeRange
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.storage.spool.folder import SpoolConfig

_Frames = npt.NDArray[np.uint8]


class VideoClips(NamedTuple):
    """Shown clips of one content of a video, from runs with equal settings.

    Attributes:
      video: with the size and the version that were labeled.
      settings: how the runs decoded it.
      clips: the clips.
    """

    video: VideoRef
    settings: RunSettings
    clips: Sequence[ShownClip]


@dataclasses.dataclass(frozen=True)
class VideoDecoder:
    """Makes the filmstrips of videos, one video at a time per thread.

    Attributes:
      sandbox: starts the decoder processes.
      spool: where remote videos are kept on local disk.
      max_seconds: how long a decoder may block its thread for one request, and how long fetching may take.
      stores: the stores that do not respond.
    """

    sandbox: Sandbox
    spool: SpoolConfig
    max_seconds: float
    stores: StoreHealth = dataclasses.field(default_factory=StoreHealth)

    def filmstrips(self, found: VideoClips) -> Iterator[tuple[ClipKey, Pictures]]:
        """Yields the pictures of each clip, or the reason why it has none. Holds the frames of one clip at a time.

        Of the other clips, it holds at most one whole picture.

        Raises:
          RunError: a decoder process does not start.
          ConfigError: a decoder process cannot be confined.
        """
        missing = dict.fromkeys(clip.key for clip in found.clips)
        reason = NoFilmstrip("unreadable")
        try:
            with self.stores.watched(found.video.video_uri):
                _require_labeled_content(found.video)
                with storage.local_file(found.video, found.settings.max_video_bytes, self.spool) as file:
                    for key, pictures in self._of_file(file, found):
                        del missing[key]
                        yield key, pictures
        except MediaError as error:
            reason = _reason_of(error)
        for key in missing:
            yield key, reason

    def _of_file(self, file: VideoFile, found: VideoClips) -> Iterator[tuple[ClipKey, Pictures]]:
        """Yields the pictures of each clip of a file."""
        media, planned_clips = self._planned_again(file, found)
        keys: dict[ClipSpan, list[ClipKey]] = {}
        for clip, found_span in zip(found.clips, planned_clips, strict=True):
            if found_span is None:
                yield clip.key, NoFilmstrip("changed")
            else:
                keys.setdefault(tile_span(found_span), []).append(clip.key)
        geometry = found.settings.model_input.geometry
        for span, frames, middle in self._shown_frames(file, media, list(keys), found):
            filmstrip = draw_filmstrip(frames, tile_times(span), middle, geometry)
            yield from ((key, filmstrip) for key in keys[span])

    def _shown_frames(
        self, file: VideoFile, media: MediaInfo, spans: Sequence[ClipSpan], found: VideoClips
    ) -> Iterator[tuple[ClipSpan, _Frames, _Frames]]:
        """Yields each span, the model's pictures of its frames, and the whole picture of the one in the middle.

        The whole pictures have the center square. Other crops are decoded separately.
        """
        geometry = found.settings.model_input.geometry
        whole = whole_geometry(geometry, media)
        if geometry.crops == "center":
            square = slice(whole.margin, whole.margin + whole.size)
            for span, frames in self._decoded(file, media, spans, whole, found):
                yield span, frames[:, square, square], frames[len(frames) // 2]
            return
        middles: dict[ClipSpan, _Frames] = {}
        with contextlib.suppress(MediaError):  # the second decode reports it
            of_middle = {middle_span(span) for span in spans}
            for span, (middle,) in self._decoded(file, media, list(of_middle), whole, found):
                middles[span] = middle
        for span, frames in self._decoded(file, media, spans, geometry, found):
            if middle_span(span) in middles:
                yield span, frames, middles[middle_span(span)]

    def _decoded(
        self, file: VideoFile, media: MediaInfo, spans: Sequence[ClipSpan], geometry: Geometry, found: VideoClips
    ) -> Iterator[tuple[ClipSpan, _Frames]]:
        """Yields each span as it was planned, and its frames."""
        _require_memory(geometry, found.settings, found.video)
        limits = with_time_limit(
            found.settings.limits, self.max_seconds, size_of(file), spans, bool(media.key_frame_pts)
        )
        for span, frames in self.sandbox.decode_clips(file, media, spans, geometry, limits):
            yield dataclasses.replace(span, num_real_frames=len(span.sample_steps)), frames

    def _planned_again(self, file: VideoFile, found: VideoClips) -> tuple[MediaInfo, list[ClipSpan | None]]:
        """Returns the properties of a file, and the plan of each clip; None for a clip that the video does not have.

        A sparse probe may misjudge the times of an odd file. If a clip is missing, the whole file is read.
        """
        limits = with_time_limit(found.settings.limits, self.max_seconds, size_of(file))
        windows = [Window(clip.start_ms / 1000, clip.end_ms / 1000) for clip in found.clips]
        media = self.sandbox.probe(file, limits, windows=windows)
        spans = _spans_of(found, media)
        if None in spans and not isinstance(file, str | os.PathLike):
            media = self.sandbox.probe(file, limits)
            spans = _spans_of(found, media)
        return media, spans


def _require_labeled_content(video: VideoRef) -> None:
    """Raises VideoChangedError if a video has another size or version than the one that was labeled.

    A store without versions proves nothing but the size.
    """
    now = storage.identified(VideoRef(video.video_uri))
    is_other_version = bool(video.content_version) and video.content_version != now.content_version
    if is_other_version or video.size_bytes != now.size_bytes:
        raise VideoChangedError(f"{without_query(video.video_uri)} changed since it was labeled")


def _spans_of(found: VideoClips, media: MediaInfo) -> list[ClipSpan | None]:
    """Returns the plan of each clip; None for a clip that the video does not have any more."""
    wanted: dict[TimeRange, set[int]] = {}
    for clip in found.clips:
        wanted.setdefault(_range_of(clip), set()).add(clip.key.clip_index)
    planned = {
        (time_range, span.clip_index): span
        for time_range, indexes in wanted.items()
        for span in _planned(found, media, time_range, indexes)
    }
    spans = ((clip, planned.get((_range_of(clip), clip.key.clip_index))) for clip in found.clips)
    return [span if span is not None and _is_row_of(clip, span) else None for clip, span in spans]


def _planned(found: VideoClips, media: MediaInfo, time_range: TimeRange, indexes: Iterable[int]) -> list[ClipSpan]:
    """Returns the wanted clips of a range as its run planned them."""
    sampling = found.settings.model_input.sampling
    video = dataclasses.replace(found.video, time_range=time_range)
    with contextlib.suppress(RangeOutsideVideoError):
        duration = labeled_seconds(video, media.duration_seconds)
        if duration > 0 and (time_range.start_seconds or 0) >= 0:  # rows are not trusted
            found.settings.limits.check_clips(without_query(video.video_uri), max_num_clips(duration, sampling))
            return plan_some_clips(media.duration_seconds, sampling, time_range, set(indexes))
    return []


def _range_of(clip: ShownClip) -> TimeRange:
    return TimeRange(_seconds(clip.key.range_start_ms), _seconds(clip.key.range_end_ms))


def _is_row_of(clip: ShownClip, span: ClipSpan) -> bool:
    return (clip.start_ms, clip.end_ms, clip.num_frames) == (span.start_ms, span.end_ms, span.num_frames)


def _seconds(milliseconds: int | None) -> Fraction | None:
    return None if milliseconds is None else Fraction(milliseconds, 1000)


def _require_memory(geometry: Geometry, settings: RunSettings, video: VideoRef) -> None:
    """Checks that a decoder has memory for the frames of filmstrips; a model may have very large pictures."""
    height, width = geometry.shape
    if NUM_SLOTS * MAX_TILES * height * width * 3 > settings.limits.memory_bytes:
        raise OverLimitError(
            f"{without_query(video.video_uri)}: {MAX_TILES} pictures of {width}x{height} need more memory than the run "
            f"gave its decoders (--decoder_memory_bytes {settings.limits.memory_bytes})"
        )


def _reason_of(error: MediaError) -> NoFilmstrip:
    if isinstance(error, VideoNotFoundError):
        return NoFilmstrip("gone")
    if isinstance(error, VideoChangedError):
        return NoFilmstrip("changed")
    return NoFilmstrip("unreadable", without_query(str(error)))
