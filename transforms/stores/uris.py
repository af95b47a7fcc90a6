"""URIs of objects, and patterns in Beam's language."""

from __future__ import annotations

import re

from apache_beam.io.filesystem import FileSystem

from transforms.errors import UnsupportedUriError, VideoNotFoundError, without_query


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Returns the two parts of SCHEME://BUCKET/KEY.

    Raises:
      UnsupportedUriError: there is no bucket.
    """
    found = re.fullmatch(r"\w+://([^/]+)/?(.*)", uri, re.DOTALL)
    if found is None or re.search(r"[*?\[]", found[1]):
        raise UnsupportedUriError(f"{without_query(uri)} names no bucket; write SCHEME://BUCKET/NAME")
    return found[1], found[2]


def object_place(uri: str) -> tuple[str, str]:
    """Returns bucket and key of an object.

    Raises:
      UnsupportedUriError: there is no bucket.
      VideoNotFoundError: there is no key: the URI names a bucket.
    """
    bucket, key = bucket_and_key(uri)
    if not key:
        raise VideoNotFoundError(
            f"{without_query(uri)} is a bucket, not a video; name it as an input to label what is in it"
        )
    return bucket, key


def literal(name: str) -> str:
    """Returns the pattern that matches this very name; `*`, `?` and `[` stand for themselves in it.

    >>> literal("s3://bucket/labels[2026]")
    's3://bucket/labels[[]2026]'
    """
    return re.sub(r"([*?[])", r"[\1]", name)


class Pattern:
    """A pattern in Beam's language: `*`, `?`, `[…]` within a folder's name, `**` for any depth.

    Attributes:
      prefix: what all that it matches begins with.
      is_plain: whether it has no wildcard.
      depth: how many folders lie between that of `prefix` and what it matches, at most; None: any number.
      finds_hidden: whether it spells the dot with which a hidden name begins, after the folder of `prefix`.
    """

    def __init__(self, pattern: str) -> None:
        pattern += "*" if pattern.endswith("/") else ""
        self.prefix = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        self.is_plain = self.prefix == pattern
        wild = pattern[len(self.prefix) :]
        self.depth = None if "**" in wild else wild.count("/")
        self._folder_length = self.prefix.rfind("/") + 1
        self.finds_hidden = _has_hidden_part(pattern[self._folder_length :])
        # Python warns of "[[]", with which `literal` names a bracket.
        self._regex = re.compile(FileSystem.translate_pattern(pattern).replace("[[]", r"\["))

    def matches(self, uri: str) -> bool:
        """Whether a URI is one of them."""
        return self._regex.match(uri) is not None

    def hides(self, uri: str) -> bool:
        """Whether a URI that it matches has a hidden name, or is below a hidden folder, which it does not spell."""
        return not self.finds_hidden and _has_hidden_part(uri[self._folder_length :])


def _has_hidden_part(path: str) -> bool:
    return path.startswith(".") or "/." in path
