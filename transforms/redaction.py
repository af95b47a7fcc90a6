"""Remove secrets from addresses in rows, logs and messages."""

from __future__ import annotations

import re

_WEB_URL = re.compile(r"\bhttps?://[^\s'\"]+", re.IGNORECASE)
_WEB_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_AFTER_URL = re.compile(r"[)\]}>.,;:!]*$")
# The name of a bucket has no colon, and a secret key may have slashes. In other schemes, a colon may precede a port. On
# Azure, the name of a container is before the @.
_CREDENTIALS = re.compile(
    r"\b((?:s3[an]?|gs)://)[^\s'\"/@:]*:[^\s'\"@]*@|\b((?!https?:|wasbs?:|abfss?:)[a-z][a-z0-9+.-]*://)[^\s'\"/@]*@",
    re.IGNORECASE,
)


def without_query(text: str) -> str:
    """Returns `text` without the secrets of the addresses in it.

    Secrets are user names and passwords, and queries and fragments of web addresses. Signed URLs must not reach rows,
    logs or messages. Only http and https have a query: in the name of an object on gs:// or s3://, and in a local path,
    "?" is an ordinary character.

    >>> without_query("cannot read https://me:pw@host/a.mp4?sig=SECRET now")
    'cannot read https://host/a.mp4 now'
    >>> without_query("s3://KEY:SE/CRET@bucket/me@home.mp4")
    's3://bucket/me@home.mp4'
    """
    if "://" not in text:
        return text
    text = _without_credentials(text)
    if _is_address(text):
        return _bare_url(text)
    return _WEB_URL.sub(_bare_match, text)


def bare_uri(uri: str) -> str:
    """Returns a URI without its secrets, as in rows: a web address has no query, fragment and user name.

    >>> bare_uri("https://host/a.mp4?sig=not encoded")
    'https://host/a.mp4'
    """
    return _bare_url(uri) if _WEB_SCHEME.match(uri) else _without_credentials(uri)


def _without_credentials(text: str) -> str:
    return _CREDENTIALS.sub(lambda match: match[1] or match[2], text)


def _is_address(text: str) -> bool:
    """Returns whether the whole text is an address, whose path may contain spaces and quotes, and not a message."""
    query = re.search(r"[?#].*", text, re.DOTALL)
    has_words = re.search(r"\s", query[0]) if query else "\n" in text
    return _WEB_SCHEME.match(text) is not None and ": " not in text and not has_words


def _bare_match(match: re.Match[str]) -> str:
    url = match.group()
    end = _AFTER_URL.search(url)  # a closing bracket or a full stop belongs to the sentence
    assert end is not None, "the pattern matches an empty text, too"
    return _bare_url(url[: end.start()]) + end.group()


def has_credentials(uri: str) -> bool:
    """Returns whether an address of a store contains a user name or a password."""
    return _CREDENTIALS.match(uri) is not None


def _bare_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    place = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = place.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
