"""URIs of objects, and Beam's patterns."""

from __future__ import annotations

import re

from apache_beam.io.filesystem import FileSystem

from reelbeam.transforms.errors import UnsupportedUriError, VideoNotFoundError
from reelbeam.transforms.redaction import without_query


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Returns the two parts of SCHEME://BUCKET/KEY.

    Raises:
      UnsupportedUriError: the URI has no bucket.
    """
    found = re.fullmatch(r"\w+://([^/]+)/?(.*)", uri, re.DOTALL)
    if found is None or re.search(r"[*?\[]", found[1]):
        raise UnsupportedUriError(f"{without_query(uri)} names no bucket; write SCHEME://BUCKET/NAME")
    return found[1], found[2]


def object_place(uri: str) -> tuple[str, str]:
    """Returns the bucket and key of an object.

    Raises:
      UnsupportedUriError: the URI has no bucket.
      VideoNotFoundError: the URI has no key, so it names a bucket.
    """
    bucket, key = bucket_and_key(uri)
    if not key:
        raise VideoNotFoundError(
            f"{without_query(uri)} is a bucket, not a video; name it as an input to label what is in it"
        )
    return bucket, key


def literal(name: str) -> str:
    """Returns a pattern that matches exactly this name; escapes `*`, `?` and `[`.

    >>> literal("s3://bucket/labels[2026]")
    's3://bucket/labels[[]2026]'
    """
    return re.sub(r"([*?[])", r"[\1]", name)


class Pattern:
    """A Beam pattern: `*`, `?` and `[…]` within a folder's name, `**` for any depth.

    Attributes:
      prefix: the common prefix of all matches.
      is_plain: whether it has no wildcard.
      depth: the maximum number of levels between the folder of `prefix` and a match; None: unlimited.
      finds_hidden: whether it contains the leading dot of a hidden name after the folder of `prefix`.
    """

    def __init__(self, pattern: str) -> None:
        pattern += "*" if pattern.endswith("/") else ""
        self.prefix = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        self.is_plain = self.prefix == pattern
        wild = pattern[len(self.prefix) :]
        self.depth = None if "**" in wild else wild.count("/")
        self._folder_length = self.prefix.rfind("/") + 1
        self.finds_hidden = _has_hidden_part(pattern[self._folder_length :])
        # Python warns about "[[]", which `literal` writes for a bracket.
        self._regex = re.compile(FileSystem.translate_pattern(pattern).replace("[[]", r"\["))

    def matches(self, uri: str) -> bool:
        """Returns whether a URI matches."""
        return self._regex.match(uri) is not None

    def hides(self, uri: str) -> bool:
        """Returns whether a matching URI is hidden, or below a hidden folder, that the pattern does not spell out."""
        return not self.finds_hidden and _has_hidden_part(uri[self._folder_length :])


def _has_hidden_part(path: str) -> bool:
    return path.startswith(".") or "/." in path
