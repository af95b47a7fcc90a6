"""Renders a report as one HTML file."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping

import jinja2
from markupsafe import Markup

from reelbeam.pipeline.reports.page import text
from reelbeam.pipeline.reports.page.accuracy_view import Accuracy, accuracy_view
from reelbeam.pipeline.reports.page.budget import (
    DROPPING_ORDER,
    PictureBudget,
    dropped_text,
    fit,
    picture_sizes,
    pictures_text,
)
from reelbeam.pipeline.reports.page.cards import CardMaker
from reelbeam.pipeline.reports.page.change_views import changes_view
from reelbeam.pipeline.reports.page.csp import policy
from reelbeam.pipeline.reports.page.options import DEFAULTS, PageOptions
from reelbeam.pipeline.reports.page.overview import overview
from reelbeam.pipeline.reports.page.picture_counts import PictureCounts
from reelbeam.pipeline.reports.page.sections import (
    corpus_charts,
    label_sheets,
    openings,
    other_sheets,
    timelines,
    timelines_left_out,
)
from reelbeam.transforms.filmstrips.filmstrip import Pictures
from reelbeam.transforms.output.comparison.changes import Changes
from reelbeam.transforms.output.report_content.content import Content
from reelbeam.transforms.output.report_content.shown_clips import ClipKey

_FOLDER = pathlib.Path(__file__).parent


def render_page(
    content: Content,
    pictures: Mapping[ClipKey, Pictures],
    changes: Changes | None = None,
    options: PageOptions = DEFAULTS,
    accuracy: Accuracy | None = None,
    on_budget: Callable[[PictureBudget], None] = lambda budget: None,
) -> str:
    """Returns a report as one HTML file, which loads nothing and is the same for the same arguments.

    Args:
      content: what the report shows.
      pictures: of its clips, and of those in `changes`. A clip without an entry has no pictures.
      changes: what changed, if the report compares.
      options: see PageOptions.
      accuracy: how right the labels are, if there is a truth file.
      on_budget: called with the clips whose pictures are in the page, and those whose pictures are left out.

    Returns:
      the HTML, which has no lone surrogates: it can be encoded in UTF-8.
    """
    wrong = () if accuracy is None else accuracy.clips()
    sizes = picture_sizes(content, changes, pictures, wrong)
    budget = PictureBudget(frozenset(), len(sizes))
    page = _render(content, pictures, changes, options, accuracy, budget)
    length = len(page.encode("utf-8"))
    if length > options.max_bytes:
        rest = length - sum(sizes.values())
        budget = fit(content, changes, pictures, options.max_bytes - rest - _MARGIN, wrong)
        page = _render(content, pictures, changes, options, accuracy, budget)
    on_budget(budget)
    return page


_MARGIN = 10_000
"""In bytes: the texts about dropped pictures."""


def _render(
    content: Content,
    pictures: Mapping[ClipKey, Pictures],
    changes: Changes | None,
    options: PageOptions,
    accuracy: Accuracy | None,
    budget: PictureBudget,
) -> str:
    maker = CardMaker(pictures, budget.dropped)
    style = "".join(path.read_text("utf-8") for path in sorted((_FOLDER / "style").glob("*.css")))
    script = (_FOLDER / "script.js").read_text("utf-8")
    counts = PictureCounts.of(pictures, len(budget.dropped))
    judged = None if accuracy is None else accuracy_view(accuracy, maker)
    changed = None if changes is None else changes_view(changes, maker)
    labels = label_sheets(content, maker)
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            policy=policy(style, script),
            style=Markup(style),
            script=Markup(script),
            overview=overview(content),
            openings=openings(labels),
            accuracy=judged,
            changes=changed,
            charts=corpus_charts(content),
            label_sheets=labels,
            other_sheets=other_sheets(content, maker),
            timelines=timelines(content, maker),
            timelines_left_out=timelines_left_out(content),
            pictures_text=pictures_text(budget),
            missing_text=counts.to_text(),
            has_pictures=counts.num_pictures > 0,
            dropped_text=dropped_text(budget, options.max_bytes),
            dropping_order=DROPPING_ORDER,
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
