"""Expand an input (a path, a URI, a folder or a pattern) to its videos. No Beam steps."""

from __future__ import annotations

import collections
import dataclasses
import logging
import os
import pathlib
from collections.abc import Iterable, Iterator

from reelbeam.transforms import storage
from reelbeam.transforms.errors import ObjectNotFoundError, StorageError, UnsupportedUriError
from reelbeam.transforms.inputs.video_extensions import AMBIGUOUS_EXTENSIONS, is_named_like_a_video
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.storage import local_folders
from reelbeam.transforms.storage.ignored import HIDDEN_FILE, Report, describe, extension_of, ignore, kind_of_file
from reelbeam.transforms.storage.stores.failures import hint
from reelbeam.transforms.storage.uris import Pattern, literal

_WILDCARDS = frozenset("*?[")
MAX_OTHERS = 100_000  # a hundred pages of an object store's listing, about twenty seconds
_log = logging.getLogger(__name__)


class _SearchTooLongError(Exception):
    """The search was stopped because a folder holds too many files that are not videos."""


def expand_input(
    given: str, base_dir: str | None = None, max_others: int | None = None, report: Report = ignore
) -> Iterator[VideoRef]:
    """Yields the videos of one input; see `list_videos.ListVideos` for the kinds of inputs.

    Args:
      given: a path, a URI or a pattern.
      base_dir: the base of relative paths.
      max_others: the limit of files in an object store's folder that are not videos; None: unlimited.
      report: called for each skipped file and folder.

    Raises:
      UnsupportedUriError, StorageError: a pattern or a folder cannot be listed.
      _SearchTooLongError: the limit `max_others` was exceeded.
    """
    uri = storage.normalize(given, base_dir)
    path = storage.local_path(uri)
    if path is not None:
        yield from _expand_local(uri, path, report)
    elif (found := _remote_file_with_brackets(uri)) is not None:
        yield found
    elif _is_pattern(uri):
        yield from _expand_remote_pattern(uri, report, max_others)
    elif _is_remote_folder(uri):
        yield from _expand_remote_folder(uri, report, max_others)
    else:
        yield VideoRef(uri)


def matches_anything(
    given: str, base_dir: str | None = None, report: Report = ignore, max_others: int = MAX_OTHERS
) -> bool:
    """Returns whether an input names at least one file.

    A missing file counts if it has a video's extension, because it gets a row. Any other missing path may be a folder
    on a disk that is not mounted.

    Args:
      given: a path, a URI or a pattern.
      base_dir: the base of relative paths.
      report: called for each skipped file and folder.
      max_others: the search of an object store's folder ends after this number of files that are not videos. The result
        is then True, with a warning, and the run lists the rest.

    Raises:
      UnsupportedUriError, StorageError: as in `expand_input`.
    """
    path = storage.local_path(storage.normalize(given, base_dir))
    if path is not None and not os.path.lexists(path) and not _is_pattern(path) and not is_named_like_a_video(given):
        return False
    try:
        return next(expand_input(given, base_dir, max_others, report), None) is not None
    except _SearchTooLongError:
        _log.warning(
            "%s: no video among its first %d files; the run searches the rest", without_query(given), max_others
        )
        return True


def why_nothing(given: str, base_dir: str | None = None) -> str:
    """Returns why an input names no video: what is at its place, and what was left out there.

    Raises:
      UnsupportedUriError, StorageError: as in `expand_input`.
    """
    uri = storage.normalize(given, base_dir)
    path = storage.local_path(uri)
    is_folder = path is not None and os.path.isdir(path)  # noqa: PTH112
    if path is not None and not is_folder and (file := _file_above(path)):
        return f"{file} is a file, not a folder; correct the path"
    if path is not None and not is_folder and not _is_pattern(uri):
        return f"nothing is there; {hint(uri) or 'correct the path'}"
    counts: collections.Counter[str] = collections.Counter()
    matches_anything(given, base_dir, lambda kind: counts.update([kind]))
    left_out = f" (ignored here: {describe(counts)})" if counts else ""
    if _is_pattern(uri) and not is_folder:
        return f"no file matches the pattern{left_out}"
    return f"the folder holds no file with a video's extension{left_out}" if counts else "the folder holds no file"


def _file_above(path: str) -> str | None:
    """Returns the file that blocks a path where it needs a folder; None if there is no such file."""
    folders = pathlib.Path(os.path.normpath(path)).parents if not path.endswith("/") else [pathlib.Path(path)]
    there = next((folder for folder in folders if os.path.lexists(folder)), None)
    return str(there) if there is not None and not there.is_dir() else None


def _expand_local(uri: str, path: str, report: Report) -> Iterator[VideoRef]:
    if os.path.isdir(path):  # noqa: PTH112
        # Everything but folders, because broken links, for example, get a row.
        below = (VideoRef(storage.normalize(found)) for found in local_folders.files_below(path, report))
        yield from _only_videos(below, report)
    elif os.path.lexists(path) or not _is_pattern(uri):
        yield VideoRef(uri)
    else:
        for found in local_folders.files_matching(Pattern(path), report):
            yield VideoRef(storage.normalize(found))


def _expand_remote_pattern(uri: str, report: Report, max_others: int | None) -> Iterator[VideoRef]:
    if uri.endswith("/") and _has_only_brackets(uri) and storage.match(f"{literal(uri)}**", limit=1):
        yield from _expand_remote_folder(uri, report, max_others)
        return
    found = _without_hidden(Pattern(uri), map(storage.video_of, storage.matching(uri)), report)
    first = next(found, None)
    if first is not None:
        yield first
        yield from found
    elif _has_only_brackets(uri):  # a folder with exactly this name
        yield from _expand_remote_folder(uri, report, max_others)


def _expand_remote_folder(uri: str, report: Report, max_others: int | None) -> Iterator[VideoRef]:
    everything = f"{literal(uri if uri.endswith('/') else f'{uri}/')}**"
    found = _without_hidden(Pattern(everything), map(storage.video_of, storage.matching(everything)), report)
    yield from _only_videos(found, report, max_others)


def _is_pattern(uri: str) -> bool:
    return bool(_WILDCARDS & set(uri)) and not uri.startswith(("http://", "https://"))


def _is_remote_folder(uri: str) -> bool:
    """Returns whether a URI ends with a slash or has objects below it; False for an unknown scheme.

    Raises:
      StorageError: it cannot be listed, and no file with that name exists either.
    """
    try:
        return uri.endswith("/") or bool(storage.match(f"{uri}/**", limit=1))
    except (UnsupportedUriError, ObjectNotFoundError):  # not found: there is no such bucket
        return False
    except StorageError as error:
        # Read access does not imply access to list, and a file system with real folders does not list a file.
        if _existing(uri) is None:
            raise error from None
        return False


def _remote_file_with_brackets(uri: str) -> VideoRef | None:
    """Returns the file with exactly this name: "[1]" is more common in names than in patterns. Costs one request."""
    return _existing(uri) if _is_pattern(uri) and _has_only_brackets(uri) else None


def _has_only_brackets(uri: str) -> bool:
    return set(uri) & _WILDCARDS == {"["}


def _existing(uri: str) -> VideoRef | None:
    try:
        return storage.video_of(storage.stat(uri))
    except ObjectNotFoundError:
        return None


def _without_hidden(wanted: Pattern, found: Iterable[VideoRef], report: Report) -> Iterator[VideoRef]:
    for video in found:
        if wanted.hides(video.video_uri):
            report(HIDDEN_FILE)
        else:
            yield video


def _only_videos(found: Iterable[VideoRef], report: Report, max_others: int | None = None) -> Iterator[VideoRef]:
    num_others = 0
    for video in found:
        if is_named_like_a_video(video.video_uri):
            is_guess = extension_of(video.video_uri) in AMBIGUOUS_EXTENSIONS
            yield dataclasses.replace(video, is_guess=True) if is_guess else video
        else:
            report(kind_of_file(video.video_uri))
            num_others += 1
            if max_others is not None and num_others > max_others:
                raise _SearchTooLongError
