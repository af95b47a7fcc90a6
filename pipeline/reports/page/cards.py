"""Clips as cards. The pictures of a clip are embedded once, and its other cards refer to them."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Collection, Mapping

from markupsafe import Markup

from reelbeam.pipeline.reports.page import text
from reelbeam.pipeline.reports.page.charts.svg import percents, tag
from reelbeam.pipeline.reports.page.links import video_link
from reelbeam.transforms.filmstrips.filmstrip import Filmstrip, NoFilmstrip, Pictures, WebpPicture
from reelbeam.transforms.output.report_content.shown_clips import ClipKey, ScoredLabel, ShownClip
from reelbeam.transforms.records import NOTHING_RECOGNIZED

_REASONS = {
    "gone": "The video does not exist any more.",
    "changed": "The video has changed since it was labeled.",
    "unreadable": "The video cannot be read now.",
    "omitted": "They were not requested.",
}
_DROPPED = "This file would be too large with them."

_TILES: dict[str, str] = {
    "center": "",
    "three": ", each as the three squares that the model saw",
    "whole": ", squeezed into squares",
}
_FRAMED: dict[str, str] = {
    "center": "the part that the model saw is framed",
    "three": "the three squares that the model saw are framed",
    "whole": "the model saw all of it, squeezed into a square",
}


@dataclasses.dataclass(frozen=True)
class Bar:
    """A label with its score and its bar."""

    label: str
    score: str
    bar: Markup


@dataclasses.dataclass(frozen=True)
class Picture:
    """An embedded picture.

    Attributes:
      source: a data: address.
      alt: what it shows, as text.
    """

    source: Markup
    width: int
    height: int
    alt: str


@dataclasses.dataclass(frozen=True)
class ClipPictures:
    """The pictures of a clip.

    Attributes:
      id: of the element with the pictures.
      times: the time that each tile shows, as texts with a space between them.
    """

    id: str
    strip: Picture
    whole: Picture
    tiles: int
    times: str


@dataclasses.dataclass(frozen=True)
class PictureReference:
    """Where the pictures of a clip are, if another card has them.

    Attributes:
      pictures: the id of the element with the pictures.
      card: the id of that card.
      title: the place of that card.
    """

    pictures: str
    card: str
    title: str


@dataclasses.dataclass(frozen=True)
class Card:
    """A clip.

    Attributes:
      id: of the card.
      name: the name of the file, and `link` a link to the video at the start of the clip, or None.
      head, tail: the URI in two parts.
      time: the part of the video, and `part` the requested range of the video, "" for the whole.
      search: its labels and its URI, for the search field.
      title: the top label and its score, the time and the name, as text.
      bars: the first labels.
      facts: further numbers, as text.
      pictures: the pictures, if this card has them.
      reference: where the pictures are, if another card has them.
      missing: why there are no pictures, and `message` the error.
    """

    id: str
    name: str
    link: str | None
    head: str
    tail: str
    time: str
    part: str
    search: str
    title: str
    bars: tuple[Bar, ...]
    facts: tuple[str, ...]
    pictures: ClipPictures | None = None
    reference: PictureReference | None = None
    missing: str = ""
    message: str = ""


class CardMaker:
    """Makes the cards of a page, in the order of the page.

    Args:
      pictures: of the clips; a clip without an entry has no pictures.
      dropped: the clips whose pictures do not fit into the page.
    """

    def __init__(self, pictures: Mapping[ClipKey, Pictures], dropped: Collection[ClipKey] = ()) -> None:
        self._pictures = pictures
        self._dropped = dropped
        self._references: dict[ClipKey, PictureReference] = {}
        self._num_cards = 0

    def card(self, clip: ShownClip, place: str, num_labels: int = 3) -> Card:
        """Returns the card of a clip.

        Args:
          clip: the clip.
          place: the name of the place in the page, for references from later cards.
          num_labels: the number of labels to show.
        """
        self._num_cards += 1
        card = _plain_card(clip, f"clip-{self._num_cards}", num_labels)
        reference = self._references.get(clip.key)
        if reference is not None:
            return dataclasses.replace(card, reference=reference)
        found = self._pictures.get(clip.key, NoFilmstrip("omitted"))
        if isinstance(found, NoFilmstrip):
            return dataclasses.replace(card, missing=_REASONS[found.reason], message=text.shown_message(found.message))
        if clip.key in self._dropped:
            return dataclasses.replace(card, missing=_DROPPED)
        made = _clip_pictures(found, card, f"pictures-{self._num_cards}")
        self._references[clip.key] = PictureReference(made.id, card.id, place)
        return dataclasses.replace(card, pictures=made)


def bars(labels: tuple[ScoredLabel, ...], most: int) -> tuple[Bar, ...]:
    """Returns the first `most` labels with their bars."""
    return tuple(
        Bar(text.shown_label(each.label), text.score(each.score), _score_bar(each.score)) for each in labels[:most]
    )


def _score_bar(score: float) -> Markup:
    bar = tag("rect", class_="bar", width=percents(score), height=4, rx=2, fill="#4a63d8")
    track = tag("rect", class_="track", width="100%", height=4, rx=2, fill="#eee")
    return tag("svg", track, bar, class_="score", width="100%", height=4, aria_hidden="true")


def _plain_card(clip: ShownClip, card_id: str, num_labels: int) -> Card:
    """Returns a card without pictures."""
    uri = clip.key.video_uri
    head, tail = text.head_and_tail(uri)
    name, time = text.file_name(uri), text.span(clip.start_ms, clip.end_ms)
    start, end = clip.key.range_start_ms, clip.key.range_end_ms
    part = "" if start is None and end is None else f"of {text.span(start or 0, end)}"
    top = f"{text.shown_label(clip.labels[0].label)} {text.score(clip.labels[0].score)}" if clip.labels else ""
    shown = bars(clip.labels, num_labels)
    facts = [f"entropy {text.score(clip.entropy)}"]
    if clip.num_real_frames < clip.num_frames:
        facts.append(f"{clip.num_frames - clip.num_real_frames} of {clip.num_frames} frames are repeats")
    return Card(
        id=card_id,
        name=name,
        link=video_link(uri, clip.start_ms),
        head=head,
        tail=tail,
        time=time,
        part=part,
        search=text.search_key([bar.label for bar in shown], [uri]),
        title=f"{top or NOTHING_RECOGNIZED}, {time}, {name}",
        bars=shown,
        facts=tuple(facts),
    )


def _clip_pictures(found: Filmstrip, card: Card, pictures_id: str) -> ClipPictures:
    middle = text.clock(found.tile_ms[len(found.tile_ms) // 2]) if found.tile_ms else card.time
    return ClipPictures(
        id=pictures_id,
        strip=_picture(found.strip, f"{text.many(found.num_tiles, 'frame')}{_TILES[found.crops]}: {card.title}"),
        whole=_picture(found.whole, f"Whole picture at {middle}; {_FRAMED[found.crops]}"),
        tiles=max(1, found.num_tiles),
        times=" ".join(map(text.clock, found.tile_ms)),
    )


def _picture(picture: WebpPicture, alt: str) -> Picture:
    encoded = base64.b64encode(picture.webp).decode("ascii")
    return Picture(Markup(f"data:image/webp;base64,{encoded}"), picture.width, picture.height, alt)
