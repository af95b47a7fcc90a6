"""ListVideos: patterns, folders and list files -> VideoRef, each video once."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow.parquet as pq
from apache_beam.io.filesystems import FileSystems

from transforms import metrics, storage
from transforms.errors import ConfigError, MediaError
from transforms.records import VideoRef

_EXTENSIONS = (
    ".3g2 .3gp .asf .avi .divx .dv .f4v .flv .gif .h264 .h265 .hevc .ivf .m1v .m2ts .m2v .m4v .mjpeg .mkv .mov "
    ".mp4 .mpeg .mpg .mts .mxf .nut .obu .ogg .ogm .ogv .qt .rm .rmvb .ts .vob .webm .wmv .y4m"
)
VIDEO_EXTENSIONS = frozenset(_EXTENSIONS.split())
"""What a folder is searched for. A file that is named, listed or matched by a pattern may be called anything."""

URI_COLUMN = "video_uri"

_LIST_SUFFIXES = (".txt", ".csv", ".jsonl", ".parquet")
_WILDCARDS = frozenset("*?[")


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
        named = (
            pipeline
            | "Inputs" >> beam.Create(self._inputs, reshuffle=False)
            | "ExpandInputs" >> beam.FlatMap(expand_input, self._base_dir)
        )
        listed = (
            pipeline
            | "InputLists" >> beam.Create(self._lists, reshuffle=False)
            | "ReadInputLists" >> beam.FlatMap(read_input_list, self._base_dir)
        )
        return (
            (named, listed)
            | beam.Flatten()
            | "KeyByUri" >> beam.Map(lambda video: (video.video_uri, video)).with_output_types(tuple[str, VideoRef])
            | beam.GroupByKey()
            | "KeepOne" >> beam.Map(_keep_one)
            | "ReadSizes" >> beam.Map(_with_size).with_output_types(VideoRef)
        )


def expand_input(given: str, base_dir: str | None = None) -> Iterator[VideoRef]:
    """Yields the videos that one input names; see `ListVideos` for what an input may be."""
    uri = storage.normalize(given, base_dir)
    if _is_file(uri):
        yield VideoRef(uri)
    elif _is_folder(uri):
        yield from _videos_of_folder(uri)
    elif _WILDCARDS & set(uri):
        yield from (storage.to_video_ref(match) for match in _match(uri))
    else:
        yield VideoRef(uri)


def matches_anything(given: str, base_dir: str | None = None) -> bool:
    """Whether an input names at least one file; a missing file counts, since it gets its row."""
    return next(iter(expand_input(given, base_dir)), None) is not None


def read_input_list(path: str, base_dir: str | None = None) -> Iterator[VideoRef]:
    """Yields the videos of a list file, with its further columns as metadata.

    .txt has one URI a line; .csv (with a header), .jsonl and .parquet have a `video_uri` column. Empty lines of a .txt
    are passed over.

    Raises:
      ConfigError: the file's kind is unknown, it has no `video_uri` column, or a row has no value in it.
    """
    suffix = pathlib.PurePosixPath(path).suffix.lower()
    if suffix not in _LIST_SUFFIXES:
        raise ConfigError(f"--input_list {path}: unknown kind {suffix!r}; give one of {', '.join(_LIST_SUFFIXES)}")
    with storage.open_binary(storage.normalize(path, base_dir)) as file:
        for number, row in enumerate(_rows_of_list(file, suffix, path), start=1):
            uri = row.pop(URI_COLUMN, None)
            if not uri:
                raise ConfigError(f"--input_list {path}: row {number} has no {URI_COLUMN}")
            metadata = tuple(sorted((str(k), _as_text(v)) for k, v in row.items() if v is not None))
            yield VideoRef(storage.normalize(str(uri), base_dir), metadata=metadata)


def _rows_of_list(file: Any, suffix: str, path: str) -> Iterator[dict[str, Any]]:
    if suffix == ".parquet":
        parquet = pq.ParquetFile(file)
        _require_uri_column(parquet.schema_arrow.names, path)
        for batch in parquet.iter_batches():
            yield from batch.to_pylist()
        return
    # utf-8-sig: spreadsheets save a mark in front, which would otherwise become part of the first column's name.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    if suffix == ".csv":
        reader = csv.DictReader(text)
        _require_uri_column(reader.fieldnames or [], path)
        yield from ({k: v for k, v in row.items() if k} for row in reader)
    elif suffix == ".jsonl":
        yield from (_parse_json(line, path) for line in text if line.strip())
    else:
        yield from ({URI_COLUMN: line.strip()} for line in text if line.strip())


def _require_uri_column(columns: Sequence[str], path: str) -> None:
    if URI_COLUMN not in columns:
        raise ConfigError(f"--input_list {path}: no column {URI_COLUMN!r} among {', '.join(columns) or 'none'}")


def _parse_json(line: str, path: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ConfigError(f"--input_list {path}: not JSON: {line.strip()[:80]!r} ({error})") from error
    if not isinstance(row, dict):
        raise ConfigError(f"--input_list {path}: not a JSON object: {line.strip()[:80]!r}")
    return row


def _as_text(value: Any) -> str:
    """Metadata are text: a nested value as JSON, the rest as Python prints it."""
    return json.dumps(value, sort_keys=True, default=str) if isinstance(value, dict | list | bool) else str(value)


def _is_file(uri: str) -> bool:
    return not storage.is_remote(uri) and pathlib.Path(uri).is_file()


def _is_folder(uri: str) -> bool:
    """A local folder; remotely, what ends with a slash or has no wildcard and something below it."""
    if not storage.is_remote(uri):
        return pathlib.Path(uri).is_dir()
    if _WILDCARDS & set(uri):
        return False
    return uri.endswith("/") or next(iter(_match(f"{uri}/**", limit=1)), None) is not None


def _videos_of_folder(uri: str) -> Iterator[VideoRef]:
    if storage.is_remote(uri):
        found: Iterable[VideoRef] = (storage.to_video_ref(match) for match in _match(f"{uri.rstrip('/')}/**"))
    else:
        found = (VideoRef(str(path)) for path in sorted(pathlib.Path(uri).rglob("*")) if path.is_file())
    for video in found:
        if pathlib.PurePosixPath(video.video_uri).suffix.lower() in VIDEO_EXTENSIONS:
            yield video
        else:
            metrics.count(metrics.FILES_IGNORED)


def _match(pattern: str, limit: int | None = None) -> list[Any]:
    try:
        return FileSystems.match([pattern], limits=[limit])[0].metadata_list
    except ValueError:  # no file system for the scheme: the row of the missing file will say so
        return []


def _keep_one(entry: tuple[str, Iterable[VideoRef]]) -> VideoRef:
    # An entry with a size (from a listing) and one without (from a list file) may both be there: keep both facts.
    videos = sorted(entry[1], key=lambda video: (video.metadata == (), video.metadata, video.size_bytes is None))
    metrics.count(metrics.VIDEOS_LISTED)
    metrics.count(metrics.DUPLICATES_DROPPED, len(videos) - 1)
    return videos[0]


def _with_size(video: VideoRef) -> VideoRef:
    if video.size_bytes is not None:
        return video
    try:
        found = storage.stat(video.video_uri)
    except MediaError:  # met again, and turned into a row, by the step that opens the file
        return video
    return dataclasses.replace(video, size_bytes=found.size_bytes, content_version=found.content_version)
