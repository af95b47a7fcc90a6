"""What the caller of `render_page` chooses."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class PageOptions:
    """The options of a page.

    Attributes:
      max_bytes: the size that the page must not exceed; pictures are dropped until it fits.
      version: of the program, for the footer.
      command: the command that made the page, for the footer; "" if there is none.
    """

    max_bytes: int = 15_000_000
    version: str = ""
    command: str = ""
