"""The forms of a video's URI or name that are compared with each other."""

from __future__ import annotations

import posixpath
import re
import unicodedata
import urllib.parse
from typing import NamedTuple

from reelbeam.transforms import storage
from reelbeam.transforms.redaction import bare_uri

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://([^/]*)(.*)", re.DOTALL)
_SAME_STORE = re.compile(r"s3[an]://")


class VideoName(NamedTuple):
    """A URI, a path or a file name.

    Attributes:
      root: the scheme and the host or bucket of a URI, the drive of Windows, or "/"; "" for a relative path.
      parts: the folders and the file name. At least one.
    """

    root: str
    parts: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> VideoName:
        """Returns the name of a video: without query, `.` and `..`, and with the separators of Linux.

        >>> VideoName.of("file:///data/./a%20b.mp4")
        VideoName(root='/', parts=('data', 'a b.mp4'))
        >>> VideoName.of("C:\\\\clips\\\\a.mp4")
        VideoName(root='c:/', parts=('clips', 'a.mp4'))
        >>> VideoName.of("HTTPS://Host/a.mp4?sig=1")
        VideoName(root='https://host/', parts=('a.mp4',))
        """
        text = bare_uri(text)
        found = _SCHEME.fullmatch(text)
        local = storage.local_path(text)
        if local is None and found is not None:
            root, path = f"{found[1]}://{found[2]}/".lower(), found[3]
        else:
            path = text if local is None else local
            is_windows = _WINDOWS.match(path) is not None or ("\\" in path and "/" not in path)
            path = path.replace("\\", "/") if is_windows else path
            root, path = (path[:3].lower(), path[3:]) if path[1:3] == ":/" else ("/" * path.startswith("/"), path)
        parts = tuple(part for part in posixpath.normpath(path).split("/") if part not in ("", ".", ".."))
        return cls(_SAME_STORE.sub("s3://", root), parts or (text,))

    @property
    def uri(self) -> str:
        """The whole URI or path."""
        return self.root + "/".join(self.parts)

    @property
    def name(self) -> str:
        """The file name."""
        return self.parts[-1]

    @property
    def stem(self) -> str:
        """The file name without its extension."""
        return posixpath.splitext(self.name)[0]


def folded(text: str, is_case_folded: bool = True) -> str:
    """Returns a text without differences of percent-encoding, Unicode form and, if wanted, case.

    >>> folded("Caf%C3%A9.MP4") == folded("cafe\\u0301.mp4")
    True
    """
    text = unicodedata.normalize("NFC", urllib.parse.unquote(text, errors="surrogateescape"))
    return text.casefold() if is_case_folded else text
