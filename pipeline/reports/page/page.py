"""Renders a report as one HTML file."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import jinja2
from markupsafe import Markup

from reelbeam.pipeline.reports.page import text
from reelbeam.pipeline.reports.page.budget import DROPPING_ORDER, Shelf, fit, picture_sizes
from reelbeam.pipeline.reports.page.cards import Album
from reelbeam.pipeline.reports.page.change_views import changes_view
from reelbeam.pipeline.reports.page.csp import policy
from reelbeam.pipeline.reports.page.options import DEFAULTS, PageOptions
from reelbeam.pipeline.reports.page.overview import overview
from reelbeam.pipeline.reports.page.sections import corpus_charts, label_sheets, openings, other_sheets, timelines
from reelbeam.transforms.filmstrips.filmstrip import Pictures
from reelbeam.transforms.output.comparison.changes import Changes
from reelbeam.transforms.output.digest.content import ClipKey, Content

_FOLDER = pathlib.Path(__file__).parent


def render_page(
    content: Content,
    pictures: Mapping[ClipKey, Pictures],
    changes: Changes | None = None,
    options: PageOptions = DEFAULTS,
) -> str:
    """Returns a report as one HTML file, which loads nothing and is the same for the same arguments.

    Args:
      content: what the report shows.
      pictures: of its clips, and of those in `changes`. A clip without an entry has no pictures.
      changes: what changed, if the report compares.
      options: see PageOptions.

    Returns:
      the HTML, which has no lone surrogates: it can be encoded in UTF-8.
    """
    sizes = picture_sizes(content, changes, pictures)
    page = _render(content, pictures, changes, options, Shelf(frozenset(), len(sizes)))
    length = len(page.encode("utf-8"))
    if length <= options.max_bytes:
        return page
    rest = length - sum(sizes.values())
    return _render(
        content, pictures, changes, options, fit(content, changes, pictures, options.max_bytes - rest - _MARGIN)
    )


_MARGIN = 10_000
"""In bytes: the texts about dropped pictures."""


def _render(
    content: Content,
    pictures: Mapping[ClipKey, Pictures],
    changes: Changes | None,
    options: PageOptions,
    shelf: Shelf,
) -> str:
    album = Album(pictures, shelf.dropped)
    style = "".join(path.read_text("utf-8") for path in sorted((_FOLDER / "style").glob("*.css")))
    script = (_FOLDER / "script.js").read_text("utf-8")
    changed = None if changes is None else changes_view(changes, album)
    labels = label_sheets(content, album)
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            policy=policy(style, script),
            style=Markup(style),
            script=Markup(script),
            overview=overview(content),
            openings=openings(labels),
            changes=changed,
            charts=corpus_charts(content),
            label_sheets=labels,
            other_sheets=other_sheets(content, album),
            timelines=timelines(content, album),
            timelines_left_out=text.many(content.num_timelines_left_out, "video")
            if content.num_timelines_left_out
            else "",
            num_pictures=shelf.num_pictures,
            dropped=text.many(len(shelf.dropped), "clip") if shelf.dropped else "",
            dropping_order=DROPPING_ORDER,
            max_size=text.size(options.max_bytes),
            options=options,
        )
    )


def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        finalize=text.shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
