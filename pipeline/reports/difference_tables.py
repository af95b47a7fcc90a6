"""The tables of `reelbeam diff`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from rich.console import Console
from rich.text import Text

from reelbeam.pipeline.reports.reasons import skipped_text
from reelbeam.pipeline.terminal.console import make_table, make_wide_console, printable, right, whole
from reelbeam.transforms.output.comparison.changes import Drift, ShareChange
from reelbeam.transforms.output.comparison.differences import Differences, LabelChange, StatusChange
from reelbeam.transforms.output.comparison.settings import KeyDifference
from reelbeam.transforms.output.comparison.shares import wilson_interval
from reelbeam.transforms.output.comparison.wording import p_text, percent, points, verdict_text
from reelbeam.transforms.wording import counted, first_and_more

_ROWS_SHOWN = 20
_INSIGNIFICANT_SHOWN = 5
_VERDICT_COLORS = {"drift": "red", "no drift": "green", "too few videos": "yellow", "not comparable": "yellow"}
_KEY_TEXTS = {
    "model": "the model ({0.before}, then {0.after})",
    "label_map_fingerprint": "the labels",
    "sampling_fingerprint": "the sampling of clips",
    "precision": "--precision ({0.before}, then {0.after})",
    "output_activation": "the output activation ({0.before}, then {0.after})",
    "schema_version": "the schema version ({0.before}, then {0.after})",
}


def print_differences(found: Differences) -> None:
    """Prints the differences between two sides. The verdict about drift and its reasons are last."""
    console, kind = make_wide_console(), "output" if found.skipped is None else "run"
    _print_pairs("changed top label", found.relabeled, ("top_label", "top_score"), console)
    _print_pairs("changed status", found.status_changed, ("status", "error_code"), console)
    for uris, title in ((found.new, f"only in the second {kind}"), (found.lost, f"only in the first {kind}")):
        if uris:
            table = make_table(whole(f"{title}: {len(uris)}"))
            shown, more = first_and_more(uris, _ROWS_SHOWN)
            for text in [*shown, *filter(None, [more])]:
                table.add_row(Text(printable(text)))
            console.print(table)
    if found.errors:
        table = make_table("error", right("before"), right("after"), right("change"))
        for code, number in found.errors.items():
            change = number.after - number.before
            table.add_row(Text(printable(code), style="red"), str(number.before), str(number.after), f"{change:+d}")
        console.print(table)
    if found.labeling_key:
        console.print(Text(_key_line(found.labeling_key, kind)))
    _print_numbers(found, console)
    _print_drift(found, console)


def _print_numbers(found: Differences, console: Console) -> None:
    videos, skipped, reasons = found.num_videos, found.skipped, found.skipped_by_reason
    only_in = (
        f"{len(found.new)} only in the second output, {len(found.lost)} only in the first output"
        if skipped is None
        else f"{_only_in('second', 'new', len(found.new), skipped.before)}, "
        f"{_only_in('first', 'lost', len(found.lost), skipped.after)}"
    )
    console.print(
        f"{counted(videos.before, 'video')} before, {videos.after} after, {videos.both} in both: "
        f"{len(found.relabeled)} with another top label, {len(found.status_changed)} with another status, {only_in}"
    )
    if skipped is None or reasons is None:
        return
    for run, number, of_run in (("first", skipped.before, reasons.before), ("second", skipped.after, reasons.after)):
        if number:
            text = f"The {run} run skipped {counted(number, 'input')}, which have no row in it: "
            console.print(Text(text + skipped_text(of_run)), style="dim")


def _only_in(run: str, word: str, number: int, num_skipped: int) -> str:
    """Returns the number of videos with rows in one run only. Videos that the other run skipped are not new or lost.

    >>> _only_in("first", "lost", 3, num_skipped=0), _only_in("first", "lost", 3, num_skipped=9)
    ('3 lost', '3 in the first run only')
    >>> _only_in("first", "lost", 3, num_skipped=1)
    '3 in the first run only (at least 2 lost)'
    """
    if not number or not num_skipped:
        return f"{number} {word}"
    sure = max(0, number - num_skipped)
    return f"{number} in the {run} run only" + (f" (at least {sure} {word})" if sure else "")


def _key_line(differences: Mapping[str, KeyDifference], kind: str) -> str:
    """Returns the line about the differences between the labeling keys of two sides."""
    texts = [text.format(differences[name]) for name, text in _KEY_TEXTS.items() if name in differences]
    return printable(f"The two {kind}s differ in {', '.join(texts)}: labels and scores may differ for that reason")


def _print_pairs(
    title: str, rows: Sequence[LabelChange | StatusChange], names: tuple[str, str], console: Console
) -> None:
    if not rows:
        return
    table = make_table(whole(f"{title}: {len(rows)}"), "before", "after")
    shown, more = first_and_more(rows, _ROWS_SHOWN)
    for row in shown:
        sides = (
            " ".join(_shown(getattr(row, f"{name}_{side}")) for name in names).strip() for side in ("before", "after")
        )
        table.add_row(Text(printable(row.video_uri)), *(Text(printable(side) or "-") for side in sides))
    if more:
        table.add_row(more, "", "")
    console.print(table)


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def _print_drift(found: Differences, console: Console) -> None:
    drift, both = found.drift, found.num_videos.both
    console.print()
    console.print(Text(printable(verdict_text(drift, found.settings)), style=_VERDICT_COLORS[drift.verdict]))
    if both:
        low, high = wilson_interval(np.array([len(found.relabeled)]), both)
        console.print(
            f"{percent(len(found.relabeled) / both)} of the {counted(both, 'video')} in both have another top label "
            f"(95 % interval: {percent(low[0])} to {percent(high[0])})"
        )
    is_mostly_same = found.same_content * 2 > min(found.num_videos.before, found.num_videos.after)
    if is_mostly_same and drift.verdict in ("drift", "no drift"):
        console.print(
            Text(
                f"in both with the same content: {counted(found.same_content, 'video')}. They make the sides more "
                "alike: the verdict is about all videos, not about the new ones"
            ),
            style="dim",
        )
    _print_shares("share of labeled videos", drift.labels, console)
    _print_shares("share of videos", (*drift.failures, *drift.facts), console)
    _print_distances(drift, console)


def _print_shares(title: str, changes: Iterable[ShareChange], console: Console) -> None:
    changed = sorted((each for each in changes if each.difference), key=lambda each: not each.is_significant)
    if not changed:
        return
    columns = map(right, ("before", "after", "change (points)", "95 % interval"))
    table = make_table(title, *columns, "significant")
    num_significant = sum(each.is_significant for each in changed)
    shown, more = first_and_more(changed, min(max(num_significant, _INSIGNIFICANT_SHOWN), _ROWS_SHOWN))
    for each in shown:
        table.add_row(
            Text(printable(each.name)),
            percent(each.share_before),
            percent(each.share_after),
            points(each.difference),
            f"{points(each.low)} to {points(each.high)}",
            "yes" if each.is_significant else "no",
        )
    if more:
        table.add_row(more)
    console.print(table)


def _print_distances(drift: Drift, console: Console) -> None:
    changed = [each for each in drift.distances if each.distance]
    if changed:
        table = make_table("number", right("distance"), right("p"))
        for each in changed:
            table.add_row(each.name, f"{each.distance:.3g}", p_text(each.p_value))
        console.print(table)
