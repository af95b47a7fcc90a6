"""What the caller of `render_page` chooses."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class PageOptions:
    """The options of a page.

    Attributes:
      max_bytes: the wished size of the page; pictures are dropped until it fits. Texts are never dropped.
      version: of the program, for the footer.
    """

    max_bytes: int = 15_000_000
    version: str = ""


DEFAULTS = PageOptions()
