"""List files below a local folder. Links to folders are followed; cycles are not.

There are two rules:

- A **folder** is searched for files. Each real folder below it is opened once, under its own name if it has one there,
  otherwise under the first link to it in name order. So a link such as `latest -> 2026-10-01` adds nothing.
- A **pattern** is matched against names. A folder is opened under each of its names, as in a shell. A link to a parent
  folder is followed only for a pattern without `**`, which limits the depth.

Hidden files and folders (names that begin with a dot, such as macOS's `._clip.mp4` or `.Trash`) are skipped, unless a
pattern contains the dot. Everything that is skipped is reported.
"""

from __future__ import annotations

import heapq
import logging
import os
from collections.abc import Collection, Iterator
from typing import NamedTuple

from reelbeam.transforms.storage.ignored import HIDDEN_FILE, HIDDEN_FOLDER, MATCHED_FOLDER, UNREADABLE_FOLDER, Report
from reelbeam.transforms.storage.stores.failures import kind_of
from reelbeam.transforms.storage.uris import Pattern

_log = logging.getLogger(__name__)


class _Folder(NamedTuple):
    """A folder to open.

    Attributes:
      path: the path under which it was found.
      depth: the number of levels below the first folder.
      above: the identities (device, inode) of its parent folders.
    """

    path: str
    depth: int = 0
    above: tuple[tuple[int, int], ...] = ()


def files_below(folder: str, report: Report) -> Iterator[str]:
    """Yields the path of every file, and of every other non-folder, below a local folder, in no particular order.

    Raises:
      StorageError: the folder itself cannot be read.
    """
    yield from _Walk(folder, report).paths()


def files_matching(wanted: Pattern, report: Report) -> Iterator[str]:
    """Yields the path of every local file that matches a pattern with wildcards, in no particular order.

    Raises:
      StorageError: the folder of its first wildcard cannot be read.
    """
    yield from _Walk(os.path.dirname(wanted.prefix), report, wanted).paths()  # noqa: PTH120


class _Walk:
    def __init__(self, folder: str, report: Report, wanted: Pattern | None = None) -> None:
        self._wanted = wanted
        self._report = report
        self._pending = [_Folder(folder)]
        self._links: list[_Folder] = []  # a heap: opened in name order when no real folder is left
        self._seen: set[tuple[int, int]] = set()

    def paths(self) -> Iterator[str]:
        while self._pending or self._links:
            folder = self._pending.pop() if self._pending else heapq.heappop(self._links)
            try:
                status = os.stat(folder.path)  # noqa: PTH116
                identity = (status.st_dev, status.st_ino)
                if identity in self._opened_before(folder):
                    continue
                self._seen.add(identity)
                with os.scandir(folder.path) as entries:
                    for entry in entries:
                        yield from self._visit(entry, folder._replace(above=(*folder.above, identity)))
            except (FileNotFoundError, NotADirectoryError):
                continue  # the folder does not exist, or was removed
            except OSError as error:
                if not folder.depth:
                    kind = kind_of(error)
                    raise kind(f"{folder.path} cannot be read: {error.strerror}; check its permissions") from error
                _log.warning("Cannot read the folder %s: %s", folder.path, error.strerror)
                self._report(UNREADABLE_FOLDER)

    def _opened_before(self, folder: _Folder) -> Collection[tuple[int, int]]:
        if self._wanted is None:
            return self._seen
        return folder.above if self._wanted.depth is None else ()

    def _visit(self, entry: os.DirEntry[str], folder: _Folder) -> Iterator[str]:
        is_link = entry.is_symlink()
        is_folder = os.path.isdir(entry.path) if is_link else entry.is_dir(follow_symlinks=False)  # noqa: PTH112
        is_opened = is_folder and (
            self._wanted is None or self._wanted.depth is None or folder.depth < self._wanted.depth
        )
        if not is_opened and not (self._wanted is None or self._wanted.matches(entry.path)):
            return
        if entry.name.startswith(".") and not (self._wanted and self._wanted.finds_hidden):
            self._report(HIDDEN_FOLDER if is_folder else HIDDEN_FILE)
        elif is_opened:
            found = _Folder(entry.path, folder.depth + 1, folder.above)
            if is_link and self._wanted is None:
                heapq.heappush(self._links, found)
            else:
                self._pending.append(found)
        elif is_folder:
            self._report(MATCHED_FOLDER)
        else:
            yield entry.path
