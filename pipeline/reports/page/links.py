"""Links to videos, which open at a given second."""

from __future__ import annotations

import re
import urllib.parse

from reelbeam.transforms.redaction import bare_uri

_WEB = re.compile(r"https?://[^/\s]", re.IGNORECASE)
_KEPT_IN_URLS = "/:@!$&'()*+,;=~%[]"
_MAX_LENGTH = 4000


def video_link(uri: str, start_ms: int) -> str | None:
    """Returns a link to a video at a second, or None if a browser cannot open it.

    Local files and web addresses have links. A link has no query, because that may be a signature.

    >>> video_link("/data/a b#1.mp4", 12_500)
    'file:///data/a%20b%231.mp4#t=12.5'
    >>> video_link("https://host/a.mp4?sig=SECRET", 0)
    'https://host/a.mp4#t=0'
    >>> video_link("gs://bucket/a.mp4", 0) is None
    True
    """
    path = uri.removeprefix("file://")
    if path.startswith("/") and not path.startswith("//"):
        encoded = _encoded(path)
        address = None if encoded is None else f"file://{encoded}"
    elif _WEB.match(uri):
        address = urllib.parse.quote(bare_uri(uri), safe=_KEPT_IN_URLS, errors="replace")
    else:
        return None
    if address is None or len(address) > _MAX_LENGTH:
        return None
    return f"{address}#t={start_ms / 1000:g}" if start_ms < 1e8 else f"{address}#t={start_ms // 1000}"


def _encoded(path: str) -> str | None:
    """Returns a path in percent-encoding; the bytes of a name that is not UTF-8 are lone surrogates in Python."""
    try:
        return urllib.parse.quote(path.encode("utf-8", "surrogateescape"), safe="/")
    except UnicodeEncodeError:
        return None
