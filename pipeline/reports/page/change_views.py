"""What changed, as view models."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from reelbeam.pipeline.reports.page import text
from reelbeam.pipeline.reports.page.cards import Bar, Card, CardMaker, bars
from reelbeam.pipeline.reports.page.charts.intervals import Interval, intervals
from reelbeam.pipeline.reports.page.overview import Figure
from reelbeam.pipeline.reports.page.tables import Chart, Table
from reelbeam.transforms.output.comparison.changes import ChangedVideo, Changes, Drift, FieldChange, ShareChange, Side
from reelbeam.transforms.output.comparison.wording import percent, reason_text

_NUM_LABELS = 3


@dataclasses.dataclass(frozen=True)
class Relabeled:
    """A video whose top label changed.

    Attributes:
      search: its labels and its URI, for the search field.
    """

    name: str
    head: str
    tail: str
    before: tuple[Bar, ...]
    after: tuple[Bar, ...]
    card: Card | None
    search: str


@dataclasses.dataclass(frozen=True)
class Examples:
    """Videos in one of the two selections only."""

    title: str
    number: str
    uris: tuple[tuple[str, str, str], ...]


@dataclasses.dataclass(frozen=True)
class ChangesView:
    """What changed.

    Attributes:
      before, after: the two selections, as text.
      verdict: in a few words, and `sentence` with its numbers.
      figures: the numbers.
      settings: the differences of model and sampling.
      charts: of labels, facts and failures.
      distances: of numbers.
      relabeled: some of the videos whose top label changed, and `relabeled_text` how many there are.
      examples: new and lost videos.
    """

    before: Figure
    after: Figure
    verdict: str
    sentence: str
    figures: tuple[Figure, ...]
    settings: Table
    charts: tuple[Chart, ...]
    distances: Table
    relabeled: tuple[Relabeled, ...]
    relabeled_text: str
    examples: tuple[Examples, ...]


def changes_view(changes: Changes, maker: CardMaker) -> ChangesView:
    """Returns the view of a comparison."""
    if changes.lost is None and not changes.after.videos:
        return _nothing_since(changes)
    drift = changes.drift
    named = (
        ("labels", "Labels", drift.labels),
        ("facts", "Files", drift.facts),
        ("failures", "Failures", drift.failures),
    )
    settings = tuple(
        (text.shown_label(change.name).replace("_", " "), *map(text.shown_label, (change.before, change.after)))
        for change in changes.settings
    )
    distances = tuple((each.name, f"{each.distance:.3g}", f"{each.p_value:.2g}") for each in drift.distances)
    return ChangesView(
        before=_side(changes.before),
        after=_side(changes.after),
        verdict=drift.verdict.capitalize(),
        sentence=_sentence(drift, changes.settings),
        figures=_figures(changes),
        settings=Table("Settings that differ", ("Setting", "Before", "After"), settings),
        charts=tuple(_chart(f"change-{key}", title, rows) for key, title, rows in named if rows),
        distances=Table("Distances of distributions", ("Number", "Wasserstein distance", "p"), distances),
        relabeled=tuple(_relabeled(video, maker) for video in changes.changed),
        relabeled_text=f"{text.number(len(changes.changed))} of {text.many(changes.relabeled, 'video')}",
        examples=_all_examples(changes),
    )


def _nothing_since(changes: Changes) -> ChangesView:
    """Returns the view of a comparison with no rows since a run."""
    nothing = Table("", (), ())
    return ChangesView(
        before=_side(changes.before),
        after=_side(changes.after),
        verdict="Nothing new",
        sentence=f"No video was labeled {text.shown_label(changes.after.name)}.",
        figures=(),
        settings=nothing,
        charts=(),
        distances=nothing,
        relabeled=(),
        relabeled_text="",
        examples=(),
    )


def _sentence(drift: Drift, settings: Sequence[FieldChange]) -> str:
    """Returns the reason of the verdict as a sentence."""
    reason = text.end_cut(text.clean(reason_text(drift, settings)), text.MAX_MESSAGE)
    return f"{reason[:1].upper()}{reason[1:]}."


def _figures(changes: Changes) -> tuple[Figure, ...]:
    of_both = f"{text.percent(changes.relabeled, changes.both)} of both"
    new = "Only after" if changes.before.skipped else "New"
    found = (
        Figure("In both", text.number(changes.both), "videos"),
        Figure("Relabeled", text.number(changes.relabeled), of_both),
        Figure(new, text.number(changes.new), _skipped_text(changes.before)),
    )
    if changes.lost is None:
        return found
    lost = "Only before" if changes.after.skipped else "Lost"
    return (*found, Figure(lost, text.number(changes.lost), _skipped_text(changes.after)))


def _all_examples(changes: Changes) -> tuple[Examples, ...]:
    """Returns the videos that are on one side only."""
    new = "Videos only after" if changes.before.skipped else "New videos"
    found = _examples(new, changes.new, changes.new_examples)
    if changes.lost is None:
        return (found,)
    lost = "Videos only before" if changes.after.skipped else "Lost videos"
    return found, _examples(lost, changes.lost, changes.lost_examples)


def _side(side: Side) -> Figure:
    models = [text.file_name(model) for model in side.models]
    return Figure(
        text.shown_uri(side.output), text.shown_label(side.name), " · ".join([text.many(side.videos, "video"), *models])
    )


def _skipped_text(other: Side) -> str:
    """Returns what a number of videos counts. A video that the other side skipped is not new or lost."""
    return f"videos; the other run skipped {text.many(other.skipped, 'input')}" if other.skipped else "videos"


def _chart(key: str, title: str, rows: Sequence[ShareChange]) -> Chart:
    drawn, lines = [], []
    for row in rows:
        name = text.shown_label(row.name)
        shown = percent(row.share_before), percent(row.share_after)
        drawn.append(Interval(name, " → ".join(shown), row.low, row.difference, row.high, row.is_significant))
        interval = f"{text.points(row.low)} to {text.points(row.high)}"
        lines.append((name, *shown, text.points(row.difference), interval, "yes" if row.is_significant else "no"))
    significant = [row.name for row in drawn if row.is_significant]
    if significant:
        finding = f"{text.many(len(significant), 'change')} of {len(drawn)} significant: {', '.join(significant[:3])}"
        finding += ", …" if len(significant) > 3 else "."
    else:
        finding = "No change is significant."
    head = (title, "Before", "After", "Change in points", "95 % interval", "Significant")
    table = Table(f"{title} before and after", head, tuple(lines))
    return Chart(title, finding, intervals(key, title, finding, drawn), table)


def _relabeled(video: ChangedVideo, maker: CardMaker) -> Relabeled:
    card = None if video.clip is None else maker.card(video.clip, "videos whose label changed")
    name, (head, tail) = text.file_name(video.video_uri), text.head_and_tail(video.video_uri)
    before, after = bars(video.before, _NUM_LABELS), bars(video.after, _NUM_LABELS)
    search = text.search_key([bar.label for bar in (*before, *after)], [video.video_uri])
    return Relabeled(name, head, tail, before, after, card, search)


def _examples(title: str, videos: int, uris: tuple[str, ...]) -> Examples:
    return Examples(
        title, text.number(videos), tuple((*text.head_and_tail(uri), text.search_key([], [uri])) for uri in uris)
    )
