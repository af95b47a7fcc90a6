"""ListVideos: patterns, folders and list files -> VideoRef, each video once."""

from __future__ import annotations

import logging
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam

from transforms import metrics, storage
from transforms.errors import MediaError, StorageError, UnsupportedUriError, VideoNotFoundError, without_query
from transforms.input_list import read_input_list
from transforms.packing import PackVideos, unpack_videos
from transforms.records import VideoRef

_EXTENSIONS = (
    ".3g2 .3gp .asf .avi .divx .dv .f4v .flv .gif .h264 .h265 .hevc .ivf .m1v .m2ts .m2v .m4v .mjpeg .mkv .mov "
    ".mp4 .mpeg .mpg .mts .mxf .nut .obu .ogg .ogm .ogv .qt .rm .rmvb .ts .vob .webm .wmv .y4m"
)
VIDEO_EXTENSIONS = frozenset(_EXTENSIONS.split())
"""What a folder is searched for. A file that is named, listed or matched by a pattern may be called anything."""

_WILDCARDS = frozenset("*?[")
_MAX_OTHERS = 100_000  # a hundred pages of an object store's listing, some twenty seconds
_log = logging.getLogger(__name__)


class ListVideos(beam.PTransform):
    """Lists the videos of a run.

    Input: the pipeline itself. Output: VideoRef, one for each distinct URI, in no order.

    An input is the first of these that it can be: an existing file; a folder (searched in depth, for files with a
    video's extension; others are counted as ignored); a pattern (`*`, `?`, `[…]`, and `**` for any depth); otherwise a
    file that is missing, which is passed on all the same: it ends as a failed row, not in silence. Rows of the input
    list are files, never folders or patterns. A URI that comes twice is passed on once; where its metadata differ, the
    smallest wins, so that the choice does not depend on the order.

    Counters: videos_listed, duplicates_dropped, files_ignored.

    Args:
      inputs: files, folders and patterns.
      input_list: a .txt, .csv, .jsonl or .parquet file, see `read_input_list`.
      base_dir: what relative local paths are relative to.
    """

    def __init__(self, inputs: Sequence[str], input_list: str | None = None, base_dir: str | None = None) -> None:
        super().__init__()
        self._inputs = list(inputs)
        self._lists = [input_list] if input_list else []
        self._base_dir = base_dir

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection[VideoRef]:
        """Wires the step."""
        given = [(name, False) for name in self._inputs] + [(path, True) for path in self._lists]
        return (
            pipeline
            | "Inputs" >> beam.Create(given, reshuffle=False)
            | "Expand" >> beam.FlatMapTuple(self._expand)
            | PackVideos()
            | beam.GroupByKey()
            | "KeepOne" >> beam.FlatMapTuple(_keep_one)
            | "ReadSizes" >> beam.Map(with_size).with_output_types(VideoRef)
        )

    def _expand(self, given: str, is_list: bool) -> Iterator[VideoRef]:
        # One step for both: a runner keeps what it flattens.
        return read_input_list(given, self._base_dir) if is_list else expand_input(given, self._base_dir)


class _SearchTooLongError(Exception):
    """A folder holds so many files that are no videos that the search was given up."""


def expand_input(given: str, base_dir: str | None = None, max_others: int | None = None) -> Iterator[VideoRef]:
    """Yields the videos that one input names; see `ListVideos` for what an input may be.

    Args:
      given: a path, a URI or a pattern.
      base_dir: what a relative path is relative to.
      max_others: how many files that are no videos a folder in an object store may hold; None: any number.

    Raises:
      UnsupportedUriError, StorageError: a pattern or a folder cannot be listed.
      _SearchTooLongError: there were more than `max_others`.
    """
    uri = storage.normalize(given, base_dir)
    path = storage.local_path(uri)
    if path is not None and os.path.isdir(path):  # noqa: PTH112
        yield from _videos_of_folder(pathlib.Path(path))
    elif path is not None and os.path.lexists(path):
        yield VideoRef(uri)
    elif path is None and (found := _remote_file_with_brackets(uri)) is not None:
        yield found
    elif _is_pattern(uri):
        yield from storage.matching(path or uri)
    elif path is None and _is_remote_folder(uri):
        yield from _only_videos(storage.matching(f"{uri.rstrip('/')}/**"), max_others)
    else:
        yield VideoRef(uri)


def matches_anything(given: str, base_dir: str | None = None) -> bool:
    """Whether an input names at least one file. A missing file counts, since it gets its row, if it is named like a
    video: anything else that is missing may be a folder, on a disk that is not there tonight.

    In an object store's folder the search ends after 100 000 files that are no videos. It then says yes, and a warning
    tells so: the listing of the run goes through the rest.

    Raises:
      UnsupportedUriError, StorageError: as `expand_input`.
    """
    path = storage.local_path(storage.normalize(given, base_dir))
    if path is not None and not os.path.lexists(path) and not _is_pattern(path) and not _is_named_like_a_video(given):
        return False
    try:
        return next(expand_input(given, base_dir, _MAX_OTHERS), None) is not None
    except _SearchTooLongError:
        _log.warning(
            "%s: no video among its first %d files; the run searches the rest", without_query(given), _MAX_OTHERS
        )
        return True


def _is_named_like_a_video(path: str) -> bool:
    return not path.endswith("/") and pathlib.PurePosixPath(path).suffix.lower() in VIDEO_EXTENSIONS


def _is_pattern(uri: str) -> bool:
    return bool(_WILDCARDS & set(uri)) and not uri.startswith(("http://", "https://"))


def _is_remote_folder(uri: str) -> bool:
    """What ends with a slash, or has something below it; a scheme that nobody knows has files only.

    Raises:
      StorageError: it cannot be listed, and no file of that name is there either.
    """
    try:
        return uri.endswith("/") or bool(storage.match(f"{uri}/**", limit=1))
    except (UnsupportedUriError, VideoNotFoundError):  # not found: there is no such bucket
        return False
    except StorageError as error:
        # Who may read a file need not be allowed to list; and a file system with real folders refuses to list a file.
        if _existing(uri) is None:
            raise error from None
        return False


def _remote_file_with_brackets(uri: str) -> VideoRef | None:
    """The file of that very name: "[1]" is more common in names than in patterns, and asking costs one request."""
    return _existing(uri) if _is_pattern(uri) and set(uri) & _WILDCARDS == {"["} else None


def _existing(uri: str) -> VideoRef | None:
    try:
        return storage.identified(VideoRef(uri))
    except VideoNotFoundError:
        return None


def _videos_of_folder(folder: pathlib.Path) -> Iterator[VideoRef]:
    """Everything below a local folder but folders: broken links, for instance, shall get their row."""
    return _only_videos(VideoRef(storage.normalize(path)) for path in storage.walk(str(folder)))


def _only_videos(found: Iterable[VideoRef], max_others: int | None = None) -> Iterator[VideoRef]:
    num_others = 0
    for video in found:
        if _is_named_like_a_video(video.video_uri):
            yield video
        else:
            metrics.count(metrics.FILES_IGNORED)
            num_others += 1
            if max_others is not None and num_others > max_others:
                raise _SearchTooLongError


def _keep_one(_bucket: int, blocks: Iterable[bytes]) -> Iterable[VideoRef]:
    kept: dict[str, VideoRef] = {}
    num_videos = 0
    for num_videos, video in enumerate(unpack_videos(blocks), start=1):  # noqa: B007
        other = kept.setdefault(video.video_uri, video)
        kept[video.video_uri] = min(other, video, key=_worse)
    metrics.count(metrics.VIDEOS_LISTED, len(kept))
    metrics.count(metrics.DUPLICATES_DROPPED, num_videos - len(kept))
    return kept.values()


def _worse(video: VideoRef) -> tuple[Any, ...]:
    # An entry with a size (from a listing) and one without (from a list file) may both be there: keep both facts.
    return video.metadata == (), video.metadata, video.size_bytes is None


def with_size(video: VideoRef) -> VideoRef:
    """Returns a video with size, version and time; as it is where the store does not tell them."""
    try:
        return storage.identified(video)
    except MediaError:  # the step that opens the file turns it into a row, see `storage.local_file`
        return video
