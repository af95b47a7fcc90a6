"""Charts with their tables, as view models."""

from __future__ import annotations

import dataclasses

from markupsafe import Markup


@dataclasses.dataclass(frozen=True)
class Table:
    """A table. The first column names its rows.

    Attributes:
      caption: the heading of the table.
      head: the names of the columns.
      rows: texts, as many in each row as there are columns.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclasses.dataclass(frozen=True)
class Chart:
    """A chart with its finding and its numbers.

    Attributes:
      title: the heading.
      finding: what the chart shows, as a sentence.
      svg: the picture.
      table: the numbers.
    """

    title: str
    finding: str
    svg: Markup
    table: Table
