"""SVG elements, escaped, and the frame of a chart."""

from __future__ import annotations

import math

from markupsafe import Markup

from reelbeam.pipeline.reports.page.text import clean


def tag(name: str, *children: str, **attributes: str | float) -> Markup:
    """Returns an element.

    Args:
      name: of the element.
      children: Markup is kept, text is cleaned and escaped.
      attributes: their names; "_" means "-", and a trailing "_" is dropped ("class_").
    """
    pairs = Markup("").join(
        Markup(' {}="{}"').format(_attribute_name(key), _text(value)) for key, value in attributes.items()
    )
    inner = Markup("").join(child if isinstance(child, Markup) else clean(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(name, pairs, inner)


def percents(share: float) -> str:
    """Returns a share as a length from 0 to 100 %; 0 for NaN. Rows may hold any numbers.

    >>> percents(0.3333333), percents(-1e9), percents(float("inf")), percents(float("nan"))
    ('33.33%', '0%', '100%', '0%')
    """
    return "0%" if math.isnan(share) else f"{100 * min(max(share, 0), 1):.4g}%"


def chart(key: str, title: str, finding: str, height: int, *children: str, role: str = "img") -> Markup:
    """Returns a chart as wide as its container.

    Args:
      key: of the chart in the page, for the ids of its title and its description.
      title, finding: read aloud instead of the picture.
      height: in pixels.
      children: the elements.
      role: "img", or "group" for a chart with links.
    """
    return tag(
        "svg",
        tag("title", title, id=f"{key}-title"),
        tag("desc", finding, id=f"{key}-desc"),
        *children,
        class_="plot",
        role=role,
        aria_labelledby=f"{key}-title {key}-desc",
        width="100%",
        height=height,
    )


def _attribute_name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _text(value: str | float) -> str:
    return clean(value) if isinstance(value, str) else f"{value:.6g}"
