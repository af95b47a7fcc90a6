"""The head of the page, how the labels were made, and the failures, as view models."""

from __future__ import annotations

import dataclasses
import datetime

from markupsafe import Markup

from reelbeam.pipeline.reports.page import text
from reelbeam.pipeline.reports.page.charts.status import Part, status_bar
from reelbeam.pipeline.reports.page.left_out import left_out, more
from reelbeam.pipeline.reports.page.tables import Table
from reelbeam.transforms.output.report_content.content import Content, Cost, FailureGroup, Labeling, Totals
from reelbeam.transforms.records import NOTHING_RECOGNIZED
from reelbeam.transforms.wording import duration, short_duration

_UNKNOWN = "unknown"
_SECONDS_OF_HOUR = 3600
_MAX_LABELINGS, _MAX_MODELS = 6, 2


@dataclasses.dataclass(frozen=True)
class Figure:
    """A number with its name and a remark."""

    name: str
    value: str
    remark: str = ""


@dataclasses.dataclass(frozen=True)
class Status:
    """Videos with one status, for the legend of the bar.

    Attributes:
      kind: the class of the entry.
    """

    kind: str
    name: str
    number: str
    share: str
    meaning: str


@dataclasses.dataclass(frozen=True)
class Failed:
    """A failed video and its error."""

    head: str
    tail: str
    message: str


@dataclasses.dataclass(frozen=True)
class Failure:
    """The videos with one error code.

    Attributes:
      search: the code and the URIs of the examples, for the search field.
    """

    code: str
    videos: str
    share: str
    remedy: str
    examples: tuple[Failed, ...]
    search: str


@dataclasses.dataclass(frozen=True)
class Overview:
    """The head of the page.

    Attributes:
      output: the place of the output.
      name: its last part.
      heading: the most important number, as a heading.
      lead: what was labeled, as sentences.
      figures: the numbers.
      status_svg: the videos by status.
      statuses: its legend.
      labelings: how the labels were made; a column for each model and sampling.
      failures: by error code, and `other_failures` how many codes are not shown, as text.
      left_out: the inputs without rows, as texts.
    """

    output: str
    name: str
    heading: str
    lead: tuple[str, ...]
    figures: tuple[Figure, ...]
    status_svg: Markup
    statuses: tuple[Status, ...]
    labelings: Table
    failures: tuple[Failure, ...]
    other_failures: str
    left_out: tuple[str, ...]


def overview(content: Content) -> Overview:
    """Returns the head of the page."""
    totals = content.totals
    done = totals.ok + totals.partial
    parts = [Part("ok", totals.ok), Part("partial", totals.partial), Part("failed", totals.failed)]
    finding = ", ".join(f"{text.number(part.videos)} {part.status}" for part in parts)
    return Overview(
        output=text.shown_uri(content.output),
        name=text.file_name(content.output),
        heading=f"{text.number(done)} of {text.many(totals.videos, 'video')} labeled",
        lead=tuple(_lead(content)),
        figures=tuple(_figures(content)),
        status_svg=status_bar(
            "status", "Videos by status", f"Of {text.many(totals.videos, 'video')}: {finding}.", parts
        ),
        statuses=tuple(_statuses(totals)),
        labelings=_labelings(content.labelings[:_MAX_LABELINGS], len(content.labelings)),
        failures=tuple(_failure(group, totals.videos) for group in content.failures),
        other_failures=more(content.num_codes_left_out, "other error code"),
        left_out=tuple(left_out(totals)),
    )


def _lead(content: Content) -> list[str]:
    totals = content.totals
    sentences = []
    models = list(dict.fromkeys(text.file_name(each.model) for each in content.labelings))
    if models:
        last = max(each.finished_at for each in content.labelings)
        sentences.append(
            f"{_models_text(models)} labeled {duration(totals.video_ms / 1000)} of video in "
            f"{text.many(totals.clips, 'clip')}. The newest run ended on {_date(last)}."
        )
    largest = content.corpus.labels.largest
    if largest and (len(largest) == 1 or largest[0].videos > largest[1].videos):
        label, videos = text.shown_label(largest[0].name), text.many(largest[0].videos, "video")
        sentences.append(f"The most frequent label is {label}, with {videos}.")
    if totals.failed:
        sentences.append(f"{text.many(totals.failed, 'video')} failed.")
    if totals.nothing_recognized:
        sentences.append(f"In {text.many(totals.nothing_recognized, 'video')}, nothing was recognized.")
    return sentences


def _models_text(models: list[str]) -> str:
    """Returns the names of the newest models and the number of the others.

    >>> _models_text(["a"]), _models_text(["a", "b"]), _models_text(["a", "b", "c", "d"])
    ('a', 'a and b', 'a, b and 2 other models')
    """
    others = more(len(models) - _MAX_MODELS, "other model")
    return f"{', '.join(models[:_MAX_MODELS])} and {others}" if others else " and ".join(models)


def _figures(content: Content) -> list[Figure]:
    totals = content.totals
    labels = content.corpus.labels
    figures = [
        Figure("Videos", text.number(totals.videos), text.size(totals.size_bytes)),
        Figure("Video time", short_duration(totals.video_ms / 1000)),
        Figure("Clips", text.number(totals.clips)),
        Figure("Labels", text.number(len(labels.largest) + labels.num_others)),
    ]
    cost = _sum([each.cost for each in content.labelings if each.cost is not None])
    if cost is not None and cost.video_seconds:
        hours = cost.video_seconds / _SECONDS_OF_HOUR
        remark = "CPU time per hour of video"
        figures.append(Figure("Decoding", short_duration(cost.decode_cpu_seconds / hours), remark))
        figures.append(Figure("Model", short_duration(cost.model_cpu_seconds / hours), remark))
    return figures


def _sum(costs: list[Cost]) -> Cost | None:
    if not costs:
        return None
    return Cost(
        sum(cost.decode_cpu_seconds for cost in costs),
        sum(cost.model_cpu_seconds for cost in costs),
        sum(cost.video_seconds for cost in costs),
    )


def _statuses(totals: Totals) -> list[Status]:
    rows = [
        ("ok", totals.ok, "all clips labeled"),
        ("partial", totals.partial, "some clips failed"),
        ("failed", totals.failed, "no clip labeled"),
        (NOTHING_RECOGNIZED, totals.nothing_recognized, "labeled, but no label passed"),
    ]
    return [
        Status(name.replace(" ", "-"), name, text.number(videos), text.percent(videos, totals.videos), meaning)
        for name, videos, meaning in rows
        if videos or name == "ok"
    ]


def _labelings(labelings: tuple[Labeling, ...], num_labelings: int) -> Table:
    """Returns the settings of the newest labelings, one in each column, and says if there are older ones."""
    columns = [_settings(each) for each in labelings]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [(name, *(column.get(name, "–") for column in columns)) for name in names]
    head = ("Setting", *(text.shown_label(each.last_run) for each in labelings))
    older = more(num_labelings - len(labelings), "older setting")
    caption = "How the labels were made"
    return Table(f"{caption}; {older} not shown" if older else caption, head, tuple(rows))


def _settings(each: Labeling) -> dict[str, str]:
    settings = {
        "Model": text.shown_uri(each.model),
        "Engine": text.shown_label(f"{each.engine}, {each.precision}"),
        **{text.shown_label(name).replace("_", " "): text.shown_label(value) for name, value in each.sampling.items()},
        "Videos": text.number(each.videos),
        "Runs": text.number(each.num_runs)
        + ("" if each.num_runs == 1 else f", the first is {text.shown_label(each.first_run)}"),
        "Started": _date(each.started_at),
        "Ended": _date(each.finished_at),
    }
    if each.cost is not None:
        settings |= _cost_rows(each.cost)
    return settings


def _cost_rows(cost: Cost) -> dict[str, str]:
    """Returns the cost as texts by name. Runs of older releases measured only a part of it."""
    decoding, model = short_duration(cost.decode_cpu_seconds), short_duration(cost.model_cpu_seconds)
    scaling = _duration(cost.scale_cpu_seconds)
    waits = (cost.decoder_wait_seconds, cost.model_wait_seconds)
    worker, decoder = map(_duration, waits)
    return {
        "CPU time": f"{decoding} for decoding (of which scaling: {scaling}), {model} for the model",
        "Planned CPU time": _duration(cost.planned_cpu_seconds),
        "Waiting": _UNKNOWN if None in waits else f"workers {worker} for decoding, decoders {decoder} for the model",
    }


def _duration(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else short_duration(seconds)


def _date(moment: str) -> str:
    """Returns a time of ISO 8601 as text, or as it is if it is not one.

    >>> _date("2026-11-29T00:14:46+00:00")
    '29 November 2026, 00:14 UTC'
    """
    try:
        at = datetime.datetime.fromisoformat(moment)
    except ValueError:
        return text.shown_label(moment)
    if at.tzinfo is not None:
        at = at.astimezone(datetime.UTC)
    month = _MONTHS[at.month - 1]
    return f"{at.day} {month} {at.year}, {at:%H:%M}{' UTC' if at.tzinfo is not None else ''}"


_MONTHS = (
    "January February March April May June July August September October November December"  # the same in every locale
).split()


def _failure(group: FailureGroup, videos: int) -> Failure:
    examples = tuple(
        Failed(*text.head_and_tail(each.video_uri), text.shown_message(each.message)) for each in group.examples
    )
    share = text.percent(group.videos, videos)
    return Failure(
        text.shown_label(group.code),
        text.many(group.videos, "video"),
        share,
        _sentence(text.shown_message(group.remedy)),
        examples,
        text.search_key([group.code], [each.video_uri for each in group.examples]),
    )


def _sentence(remedy: str) -> str:
    """Returns a remedy as a sentence.

    >>> _sentence("decrypt it")
    'Decrypt it.'
    """
    return f"{remedy[:1].upper()}{remedy[1:]}{'' if remedy.endswith(('.', '…')) else '.'}" if remedy else ""
