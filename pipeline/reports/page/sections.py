"""The charts of the corpus, the contact sheets and the timelines, as view models."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from reelbeam.pipeline.reports.page import text
from reelbeam.pipeline.reports.page.cards import Card, CardMaker, ClipPictures
from reelbeam.pipeline.reports.page.charts import bars, histogram, timeline
from reelbeam.pipeline.reports.page.links import video_link
from reelbeam.pipeline.reports.page.tables import Chart, Table
from reelbeam.transforms.output.report_content.content import Content
from reelbeam.transforms.output.report_content.label_runs import Timeline, VideoFailure
from reelbeam.transforms.output.report_content.shares import Histogram, Shares
from reelbeam.transforms.output.report_content.shown_clips import LabelSheet, ShownClip
from reelbeam.transforms.wording import short_duration

_MAX_COLUMNS = 3
_MAX_OPENINGS = 8
_SHEETS = {
    "least_certain": (
        "Least certain",
        "The clips with the highest entropy: the model spreads its scores over many labels. One clip per video.",
    ),
    "undecided": ("Undecided", "The clips with the smallest margin between the two first labels."),
    "unfamiliar": (
        "Unfamiliar",
        "The top score is low although the logits are high: the model sees something, which may not be a class.",
    ),
    "sample": (
        "Unbiased sample",
        "Clips chosen by a hash, whatever their labels and scores. Only this sheet shows how good the labels are.",
    ),
}


@dataclasses.dataclass(frozen=True)
class Group:
    """Some clips with a heading; "" if there is none."""

    title: str
    cards: tuple[Card, ...]


@dataclasses.dataclass(frozen=True)
class Sheet:
    """A contact sheet.

    Attributes:
      id: of the sheet.
      columns: its width, in columns of the page.
      remark: the text under its heading.
    """

    id: str
    title: str
    remark: str
    columns: int
    groups: tuple[Group, ...]


@dataclasses.dataclass(frozen=True)
class Opening:
    """A label at the top of the page, with a link to a card and the id of its pictures."""

    label: str
    card: str
    pictures: str


@dataclasses.dataclass(frozen=True)
class TimelineView:
    """A timeline with the cards of its clips.

    Attributes:
      search: its labels, its URI and its error code, for the search field.
      failure: what is shown instead of the chart.
    """

    id: str
    name: str
    link: str | None
    head: str
    tail: str
    chart: Chart
    cards: tuple[Card, ...]
    search: str
    failure: VideoFailure | None


def corpus_charts(content: Content) -> tuple[Chart, ...]:
    """Returns the charts of the corpus."""
    corpus = content.corpus
    return (
        _share_chart("labels-videos", "Labels by videos", "label", corpus.labels, by_time=False),
        _share_chart("labels-time", "Labels by time", "label", corpus.labels_by_time, by_time=True),
        _histogram("scores", "Scores", "of the clips have a top score", corpus.scores, text.score),
        _histogram(
            "entropies",
            "Entropy",
            "of the clips have an entropy (in nats)",
            corpus.entropies,
            lambda edge: f"{edge:.2f}",
        ),
        _histogram("durations", "Durations", "of the videos have a duration", corpus.durations, short_duration),
        _share_chart("picture-sizes", "Picture sizes", "picture size", corpus.picture_sizes, by_time=False),
        _share_chart("codecs", "Codecs", "codec", corpus.codecs, by_time=False),
        _share_chart("containers", "Containers", "container", corpus.containers, by_time=False),
    )


def _share_chart(key: str, title: str, noun: str, shares: Shares, *, by_time: bool) -> Chart:
    everything = [*shares.largest, *([] if shares.others is None else [shares.others])]
    total = sum(share.video_ms if by_time else share.videos for share in everything)
    rows, lines = [], []
    for share in everything:
        is_rest = share is shares.others
        name = f"{text.many(shares.num_others, f'other {noun}')}" if is_rest else text.shown_label(share.name)
        value = share.video_ms if by_time else share.videos
        shown = short_duration(value / 1000) if by_time else text.number(value)
        part = text.percent(value, total)
        rows.append(bars.Bar(name, value, f"{shown} · {part}", is_rest))
        lines.append((name, text.number(share.videos), short_duration(share.video_ms / 1000), part))
    if rows:
        unit = (
            rows[0].text
            if by_time
            else text.many(shares.largest[0].videos, "video") + f", {rows[0].text.split(' · ')[1]}"
        )
        finding = f"The largest is {rows[0].name}: {unit.replace(' · ', ', ')}."
    else:
        finding = "There are none."
    table = Table(title, (noun.capitalize(), "Videos", "Time", "Share"), tuple(lines))
    return Chart(title, finding, bars.bars(key, title, finding, rows), table)


def _histogram(key: str, title: str, what: str, values: Histogram, edge_text: Callable[[float], str]) -> Chart:
    if values.quartiles is None:
        finding = "There are no values."
    else:
        low, median, high = map(edge_text, values.quartiles)
        finding = f"Half {what} from {low} to {high}; the median is {median}."
    bins = zip(values.edges, values.edges[1:], values.counts, strict=False)
    total = sum(values.counts)
    rows = [
        (f"{edge_text(low)} – {edge_text(high)}", text.number(count), text.percent(count, total))
        for low, high, count in bins
        if total
    ]
    table = Table(title, ("From – to", "Number", "Share"), tuple(rows))
    return Chart(title, finding, histogram.histogram(key, title, finding, values, edge_text), table)


def label_sheets(content: Content, maker: CardMaker) -> tuple[Sheet, ...]:
    """Returns the sheets of the labels."""
    return tuple(_label_sheet(sheet, f"label-{place}", maker) for place, sheet in enumerate(content.sheets.labels, 1))


def _label_sheet(sheet: LabelSheet, sheet_id: str, maker: CardMaker) -> Sheet:
    label = text.shown_label(sheet.label)
    named = (("Surest", sheet.surest), ("Median", sheet.median), ("Least sure", sheet.least))
    groups = tuple(
        Group(name, tuple(maker.card(clip, f"{label}, {name.lower()}") for clip in clips))
        for name, clips in named
        if clips
    )
    columns = len(groups) if len(groups) > 1 else sum(len(group.cards) for group in groups)
    remark = f"{text.many(sheet.videos, 'video')}, {text.many(sheet.clips, 'clip')}"
    return Sheet(sheet_id, label, remark, min(max(1, columns), _MAX_COLUMNS), groups)


def openings(sheets: tuple[Sheet, ...]) -> tuple[Opening, ...]:
    """Returns the surest clips of the most frequent labels, as far as they have pictures; an even number of them."""
    found = []
    for sheet in sheets:
        card = sheet.groups[0].cards[0] if sheet.groups else None
        where = None if card is None else card.pictures or card.reference
        if card is not None and where is not None:
            found.append(Opening(sheet.title, card.id, where.id if isinstance(where, ClipPictures) else where.pictures))
    return tuple(found[: min(_MAX_OPENINGS, len(found) // 2 * 2)])


def other_sheets(content: Content, maker: CardMaker) -> tuple[Sheet, ...]:
    """Returns the sheets of uncertain clips, and the sample; those without clips are left out."""
    found = []
    for name, (title, remark) in _SHEETS.items():
        clips: tuple[ShownClip, ...] = getattr(content.sheets, name)
        if clips:
            cards = tuple(maker.card(clip, title, num_labels=5) for clip in clips)
            found.append(Sheet(name.replace("_", "-"), title, remark, _MAX_COLUMNS, (Group("", cards),)))
    return tuple(found)


def timelines(content: Content, maker: CardMaker) -> tuple[TimelineView, ...]:
    """Returns the timelines."""
    return tuple(_timeline(shown, f"timeline-{place}", maker) for place, shown in enumerate(content.timelines, 1))


def timelines_left_out(content: Content) -> str:
    """Returns how many videos with changes have no timeline, as a sentence; "" if there are none."""
    number = content.num_timelines_left_out
    if not number:
        return ""
    verb = "has" if number == 1 else "have"
    return f"{text.many(number, 'video')} with changes of the top label {verb} no timeline here."


def _timeline(shown: Timeline, key: str, maker: CardMaker) -> TimelineView:
    name = text.file_name(shown.video_uri)
    cards = tuple(maker.card(clip, f"timeline of {name}") for clip in shown.clips)
    finding = (
        f"The top label changes {text.many(shown.num_changes, 'time')} in {text.span(shown.start_ms, shown.end_ms)}."
    )
    if shown.gaps:
        finding += f" {text.many(len(shown.gaps), 'part')} without clips."
    if shown.num_runs_left_out:
        finding += f" {text.many(shown.num_runs_left_out, 'short run')} left out."
    title = f"Labels of {name} over time"
    svg = timeline.timeline_chart(key + "-chart", title, finding, shown, [card.id for card in cards])
    rows = [
        (run.start_ms, run.end_ms, text.shown_label(run.label), text.score(run.score), text.number(run.num_clips))
        for run in (shown.lanes[0] if shown.lanes else ())
    ]
    rows += [(gap.start_ms, gap.end_ms, "no clips", "–", "0") for gap in shown.gaps]
    lines = tuple((text.span(start, end), *rest) for start, end, *rest in sorted(rows))
    table = Table(f"The top labels of {name}", ("Time", "Label", "Mean score", "Clips"), lines)
    head, tail = text.head_and_tail(shown.video_uri)
    chart = Chart(title, finding, svg, table)
    labels = [text.shown_label(run.label) for lane in shown.lanes for run in lane]
    failure = _failure(shown)
    search = text.search_key([failure.code] if failure else labels, [shown.video_uri])
    link = video_link(shown.video_uri, shown.start_ms)
    return TimelineView(key, name, link, head, tail, chart, cards, search, failure)


def _failure(shown: Timeline) -> VideoFailure | None:
    found = shown.failure
    return found and VideoFailure(text.shown_label(found.code), text.shown_message(found.message))
