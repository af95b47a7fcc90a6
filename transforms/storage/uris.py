"""URIs of files and objects, and Beam's patterns."""

from __future__ import annotations

import os
import re
import urllib.parse

from reelbeam.transforms.errors import ObjectNotFoundError, UnsupportedUriError
from reelbeam.transforms.redaction import without_query

_FILE_SCHEME = "file://"
_LOCAL_FILE_URI = re.compile(r"file:(?://(?:localhost)?(?=/)|(?=/(?!/)))", re.IGNORECASE)
"""file:///PATH, file://localhost/PATH and file:/PATH. A URI that names another host is not local."""
_SCHEME = re.compile(r"\s*([a-zA-Z][-a-zA-Z0-9+.]*)://")
_PART_OF_PATTERN = re.compile(r"\*\*|\*|\?|\[(!?+]?+[^]]*+)]|.", re.DOTALL)
_WILDCARDS = {"**": ".*", "*": r"[^/\\]*", "?": "."}


def normalize(uri: str, base_dir: str | None = None) -> str:
    """Returns the URI as it appears in rows: an absolute local path (from `base_dir`), or a remote URI unchanged.

    A table cannot hold a local name that is not UTF-8, so it becomes a file:// URI with percent-encoded bytes.
    """
    path = local_path(uri)
    if path is None or "\0" in path:  # no file can have such a name; `stat` reports it
        return uri
    trailing = "/" if path.endswith("/") else ""
    path = os.path.abspath(os.path.join(base_dir or ".", path)) + trailing  # noqa: PTH100, PTH118
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return _FILE_SCHEME + urllib.parse.quote(os.fsencode(path))
    return path


def local_path(uri: str) -> str | None:
    """Returns the path of a local file or folder; None for another scheme, or for file:// with a host's name."""
    if found := _LOCAL_FILE_URI.match(uri):
        return os.fsdecode(urllib.parse.unquote_to_bytes(uri[found.end() :]))
    return uri if scheme_of(uri) is None else None


def scheme_of(uri: str) -> str | None:
    """Returns the scheme of a URI, as Beam recognizes it; None for a path.

    >>> scheme_of("s3://bucket/a.mp4"), scheme_of("/data/a.mp4")
    ('s3', None)
    """
    found = _SCHEME.match(uri)
    return found and found[1]


def joined(folder: str, *names: str) -> str:
    """Returns the path or URI of a file or folder below a folder.

    >>> joined("s3://bucket/labels/", "runs", "a.json")
    's3://bucket/labels/runs/a.json'
    """
    return "/".join((folder.rstrip("/"), *names))


def sibling(uri: str, name: str) -> str:
    """Returns the path or URI of another file in the folder of a file."""
    return uri[: uri.rfind("/") + 1] + name


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
      ObjectNotFoundError: the URI has no key, so it names a bucket.
    """
    bucket, key = bucket_and_key(uri)
    if not key:
        raise ObjectNotFoundError(
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
        self._regex = re.compile(_PART_OF_PATTERN.sub(_translated, pattern), re.DOTALL)

    def matches(self, uri: str) -> bool:
        """Returns whether a URI matches."""
        return self._regex.fullmatch(uri) is not None

    def hides(self, uri: str) -> bool:
        """Returns whether a matching URI is hidden, or below a hidden folder, that the pattern does not spell out."""
        return not self.finds_hidden and _has_hidden_part(uri[self._folder_length :])


def _translated(part: re.Match[str]) -> str:
    """Returns the regular expression of a part of a pattern: a wildcard, a set of characters, or a character."""
    characters = part[1]
    if characters is None:
        return _WILDCARDS.get(part[0]) or re.escape(part[0])
    negation = "^" if characters.startswith("!") else ""
    # Python warns about a bracket inside a set.
    inside = re.sub(r"[\\\[]|^\^", r"\\\g<0>", characters.removeprefix("!") if negation else characters)
    return f"[{negation}{inside}]"


def _has_hidden_part(path: str) -> bool:
    return path.startswith(".") or "/." in path
