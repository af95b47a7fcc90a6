"""Read list files: .txt, .csv, .jsonl or .parquet -> one VideoRef per row; other columns become metadata."""

from __future__ import annotations

import csv
import os
import pathlib
from collections.abc import Iterator

from reelbeam.transforms import storage
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.inputs.list_rows import SUFFIXES, URI_COLUMN, rows_of_list
from reelbeam.transforms.inputs.video_rows import video_of_row
from reelbeam.transforms.records import VideoRef


def read_input_list(path: str, base_dir: str | None = None) -> Iterator[VideoRef]:
    """Yields the videos of a list file, with its other columns as metadata.

    .txt has one URI per line; empty lines and lines that begin with "#" are skipped. .csv (with a header; the delimiter
    is a comma, a semicolon or a tab), .jsonl and .parquet have a `video_uri` column. Their optional columns
    `start_seconds` and `end_seconds` give an exact range of the video. Relative paths start from `base_dir`, like those
    on the command line, not from the list's folder.

    Raises:
      ConfigError: the file's kind is unknown, it has no `video_uri` column, or a row has an invalid URI, path or range.
      StorageError: the file cannot be read.
    """
    suffix = pathlib.PurePosixPath(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"--input_list {path}: unknown kind {suffix!r}; give one of {', '.join(SUFFIXES)}")
    place = storage.normalize(path, base_dir)
    _require_regular(path, place)
    storage.stat(place)  # Beam retries for minutes to open a file without access
    with storage.storage_errors(place), storage.open_binary(place) as file:
        try:
            for where, row in rows_of_list(file, suffix):
                yield _listed_video(row, where, place, base_dir)
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"--input_list {path}: byte {error.object[error.start]:#x} is not UTF-8; save the list as UTF-8, and "
                "write a name of other bytes as file:///… with these bytes as %XX"
            ) from error
        except (ValueError, csv.Error, RecursionError) as error:  # json's, csv's, pyarrow's and Unicode's errors
            raise ConfigError(f"--input_list {path}: {error}") from error


def _require_regular(path: str, place: str) -> None:
    """Raises if a list is a FIFO or a device: reading it might not end, and it is read more than once."""
    local = storage.local_path(place)
    if local is not None and os.path.exists(local) and not os.path.isfile(local) and not os.path.isdir(local):
        raise ConfigError(f"--input_list {path} is not a regular file: write the list to a file, and pass its name")


def _listed_video(row: dict[str, object], where: str, list_place: str, base_dir: str | None) -> VideoRef:
    given = row.get(URI_COLUMN)
    video = video_of_row(row, where, base_dir)
    _require_start(str(given), video.video_uri, where, list_place)
    return video


def _require_start(uri: str, video_uri: str, where: str, list_place: str) -> None:
    """Raises if a relative path seems to start from the list: the file is there, or the list is in a store."""
    if storage.local_path(uri) is None or uri.startswith((os.sep, "file:")):
        return
    list_path = storage.local_path(list_place)
    if list_path is None:
        raise ValueError(f"{where}: {uri} is a relative path, and the list is in an object store; give whole URIs")
    beside = pathlib.Path(list_path).parent / uri
    if not os.path.lexists(video_uri) and os.path.lexists(beside):
        raise ValueError(
            f"{where}: {uri} is beside the list, and relative paths start from the working directory: there is no "
            f"{video_uri}; give whole paths, or start from {beside.parent}"
        )
