"""The tables of a result as text for a terminal, and as HTML for a notebook. Names in them are not trusted."""

from __future__ import annotations

import html
import io
import os
import shutil
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Column
from rich.text import Text

from reelbeam.pipeline.terminal.console import make_table, printable, right
from reelbeam.transforms.records.time_range import shown_input
from reelbeam.transforms.schemas import RANGE
from reelbeam.transforms.wording import counted

_MAX_VIDEOS = 10
_MAX_WIDTH = 110
_MAX_HTML_NAME = 200
_HEADER = ("video", "label", "score", "clips", "status")


class _Line(NamedTuple):
    """What is shown of a video, without control characters."""

    video: str
    label: str
    score: str
    clips: str
    status: str


def tables_text(videos: pa.Table, clips: pa.Table, errors: pa.Table) -> str:
    """Returns the counts and a table of the first videos, not wider than the terminal."""
    width = min(shutil.get_terminal_size((_MAX_WIDTH, 24)).columns, _MAX_WIDTH)
    table = make_table(
        Column(_HEADER[0], no_wrap=True, overflow="ellipsis"),
        Column(_HEADER[1], no_wrap=True, overflow="ellipsis"),
        right(_HEADER[2]),
        right(_HEADER[3]),
        Column(_HEADER[4], no_wrap=True, overflow="ellipsis"),
    )
    for line in _lines(videos):
        table.add_row(*map(Text, line))  # a string would be read as markup
    text = io.StringIO()
    console = Console(file=text, width=width, color_system=None, force_terminal=False, force_jupyter=False)
    console.print(_counts(videos, clips, errors), markup=False, highlight=False, emoji=False)
    if videos.num_rows:
        console.print(table)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join([*filter(None, lines), *_more(videos)])


def tables_html(videos: pa.Table, clips: pa.Table, errors: pa.Table) -> str:
    """Returns the counts and a table of the first videos as HTML."""
    head = "".join(f"<th>{name}</th>" for name in _HEADER)
    body = "".join(f"<tr>{''.join(map(_cell, line))}</tr>" for line in _lines(videos))
    more = "".join(f"<p>{html.escape(text)}</p>" for text in _more(videos))
    counts = html.escape(_counts(videos, clips, errors))
    return f"<div><p>{counts}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}</div>"


def _cell(text: str) -> str:
    shown = text if len(text) <= _MAX_HTML_NAME else f"{text[: _MAX_HTML_NAME - 1]}…"
    return f"<td>{html.escape(shown)}</td>"


def _counts(videos: pa.Table, clips: pa.Table, errors: pa.Table) -> str:
    number = {status: pc.sum(pc.equal(videos["status"], status)).as_py() or 0 for status in ("ok", "partial", "failed")}
    by_status = ", ".join(f"{count} {status}" for status, count in number.items())
    sizes = f"{counted(clips.num_rows, 'clip')}; {counted(errors.num_rows, 'error')}"
    return f"LabelTables: {counted(videos.num_rows, 'video')} ({by_status}); {sizes}"


def _more(videos: pa.Table) -> list[str]:
    hidden = videos.num_rows - _MAX_VIDEOS
    return [f"and {hidden} more: .videos, .clips and .errors are Arrow tables"] if hidden > 0 else []


def _lines(videos: pa.Table) -> list[_Line]:
    columns = ["video_uri", *RANGE, "status", "error_code", "top_label", "top_score", "num_clips"]
    rows = videos.slice(0, _MAX_VIDEOS).select(columns).to_pylist()
    names = _without_folder([shown_input(row["video_uri"], *(row[name] for name in RANGE)) for row in rows])
    return [_line(row, name) for row, name in zip(rows, names, strict=True)]


def _line(row: dict[str, Any], name: str) -> _Line:
    score = "" if row["top_score"] is None else f"{row['top_score']:.2f}"
    status = f"{row['status']} ({row['error_code']})" if row["error_code"] else row["status"]
    return _Line(*map(printable, (name, row["top_label"] or "", score, str(row["num_clips"]), status)))


def _without_folder(names: Sequence[str]) -> list[str]:
    """Returns names without the folder that they share."""
    start = os.path.commonprefix([name.rpartition("/")[0] + "/" for name in names]).rpartition("/")[0]
    return [name[len(start) :].lstrip("/") for name in names]
