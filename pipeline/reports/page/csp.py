"""The Content-Security-Policy of the page: the hashes of its style sheet and its script, and no other source."""

from __future__ import annotations

import base64
import hashlib


def policy(style: str, script: str) -> str:
    """Returns the policy for a page with exactly one style sheet and one script, both inline."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src {_source(style)}",
            f"script-src {_source(script)}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
