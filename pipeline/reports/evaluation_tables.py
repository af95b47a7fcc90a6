"""The tables of `reelbeam evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.console import Console
from rich.text import Text

from reelbeam.pipeline.reports import evaluation_texts as texts
from reelbeam.pipeline.reports.evaluation_texts import interval, number
from reelbeam.pipeline.terminal.console import make_table, make_wide_console, printable, right, whole
from reelbeam.transforms.evaluation.comparison import ChangedItem, Comparison
from reelbeam.transforms.evaluation.confusions import Confusion
from reelbeam.transforms.evaluation.evaluated_output import OutputEvaluation, TruthSummary
from reelbeam.transforms.evaluation.evaluation import Evaluation
from reelbeam.transforms.evaluation.per_class import ClassResult, PerClass
from reelbeam.transforms.evaluation.thresholds import Threshold
from reelbeam.transforms.output.comparison.wording import percent
from reelbeam.transforms.wording import counted, first_and_more

_CLASSES_SHOWN = 10
_ROWS_SHOWN = 10
_NAMES_SHOWN = 3


def print_evaluation(found: OutputEvaluation) -> None:
    """Prints an evaluation. The accuracy is in the first line, and the warnings are last."""
    console = make_wide_console()
    _print_items(found.videos, console, lambda: _print_truth(found.truth, console))
    if found.clips is not None:
        console.print()
        _print_items(found.clips, console, lambda: None)
    for evaluation in filter(None, (found.videos, found.clips)):
        if evaluation.comparison is not None and found.against is not None:
            _print_comparison(evaluation, evaluation.comparison, found, console)
    for warning in texts.warning_texts(found):
        console.print(Text(f"warning: {printable(warning)}", style="yellow"))


def _print_items(found: Evaluation, console: Console, print_truth: Callable[[], None]) -> None:
    console.print(Text(texts.headline(found), style="bold"))
    console.print(Text(texts.counts_text(found)))
    print_truth()
    _print_accuracy(found, console)
    _print_classes(found.per_class, console)
    _print_confusions(found.confusions, found, console)
    _print_calibration(found, console)
    _print_thresholds(found, console)
    if found.novelty:
        signals = ", ".join(map(texts.separation_text, found.novelty))
        console.print(Text(f"videos with none of the classes, recognized by (0.5: not at all): {signals}"))
    _print_suspects(found, console)


def _print_truth(truth: TruthSummary, console: Console) -> None:
    console.print(Text(printable(texts.truth_text(truth))))
    for names, title in ((truth.truth_without_video, "not in the output"), (truth.videos_without_truth, "no truth")):
        if names.count:
            shown = ", ".join(names.examples[:_NAMES_SHOWN])
            more = f" and {names.count - _NAMES_SHOWN} more" if names.count > _NAMES_SHOWN else ""
            console.print(Text(printable(f"  {title}: {shown}{more}"), style="dim"))


def _print_accuracy(found: Evaluation, console: Console) -> None:
    title = "accuracy of clips" if found.is_of_clips else "accuracy of videos"
    columns = ("failed ones are wrong", "95 % interval", "without failed ones", "95 % interval", "mean over classes")
    table = make_table(title, *map(right, columns))
    for top in found.accuracy.top:
        table.add_row(
            texts.top_name(top),
            number(top.with_failed.value),
            interval(top.with_failed.low, top.with_failed.high),
            number(top.without_failed.value),
            interval(top.without_failed.low, top.without_failed.high),
            f"{number(top.mean_over_classes)} (of {found.accuracy.num_classes})",
        )
    console.print(table)


def _print_classes(found: PerClass, console: Console) -> None:
    known = [each for each in found.classes if each.support]
    if not known:
        return
    frequent = known[:_CLASSES_SHOWN]
    worst = sorted(known, key=lambda each: (each.recall.value or 0.0, -each.support, each.label))[:_CLASSES_SHOWN]
    _print_class_rows("most frequent class", frequent, found, console)
    if len(known) > len(frequent):
        _print_class_rows("worst class", worst, found, console)
        more = f"{len(known)} classes have truth; --json has all"
        console.print(Text(more, style="dim"))


def _print_class_rows(title: str, rows: Iterable[ClassResult], found: PerClass, console: Console) -> None:
    columns = ("with truth", "recall", "95 % interval", "said", "precision", "95 % interval")
    table = make_table(title, *map(right, (*columns, found.average_precision_name)))
    for each in rows:
        table.add_row(
            Text(printable(each.label)),
            str(each.support),
            number(each.recall.value),
            interval(each.recall.low, each.recall.high),
            str(each.predictions),
            number(each.precision.value),
            interval(each.precision.low, each.precision.high),
            number(each.average_precision),
        )
    console.print(table)


def _print_confusions(found: Sequence[Confusion], of: Evaluation, console: Console) -> None:
    if not found:
        return
    table = make_table(
        "truth", "said instead", right("clips" if of.is_of_clips else "videos"), right("share"), "such as"
    )
    shown, more = first_and_more(found, _ROWS_SHOWN)
    for each in shown:
        table.add_row(
            Text(printable(each.truth or "none of the classes")),
            Text(printable(each.said if each.said is not None else each.answer)),
            str(each.count),
            percent(each.share),
            Text(printable(texts.place_text(each.examples[0]))),
        )
    if more:
        table.add_row(more, "", "", "", "")
    console.print(table)


def _print_calibration(found: Evaluation, console: Console) -> None:
    console.print(Text(texts.calibration_text(found.calibration)))
    if not found.calibration.bins:
        return
    table = make_table("score", *map(right, ("videos", "mean score", "right", "95 % interval")))
    for each in found.calibration.bins:
        table.add_row(
            interval(each.lowest_score, each.highest_score),
            str(each.count),
            number(each.mean_score),
            number(each.accuracy),
            interval(each.low, each.high),
        )
    console.print(table)


def _print_thresholds(found: Evaluation, console: Console) -> None:
    cuts = found.thresholds
    console.print(Text(texts.threshold_text(cuts.overall, cuts.precision)))
    console.print(Text(texts.thresholds_limit_text(cuts), style="dim"))
    if not cuts.classes:
        return
    table = make_table("class", *map(right, ("lowest score", "right", "kept", "labels", "more needed")))
    for each in cuts.classes:
        table.add_row(Text(printable(each.label or "")), *_cells(each, cuts.precision))
    console.print(table)


def _cells(found: Threshold, precision: float) -> list[str]:
    is_found = found.cut is not None
    more = "too often wrong" if texts.is_too_often_wrong(found, precision) else "not known"
    return [
        f"{found.cut:g}" if is_found else "-",
        f"{found.right} of {found.accepted}" if is_found else "-",
        percent(found.coverage or 0.0) if is_found else "-",
        str(found.total),
        "" if is_found else more if found.more_needed is None else str(found.more_needed),
    ]


def _print_suspects(found: Evaluation, console: Console) -> None:
    checks = found.truth_checks
    if not checks.suspects:
        return
    table = make_table(whole(f"look at these: {checks.num_suspects}"), "truth", "said", right("score"))
    for each in checks.suspects[:_ROWS_SHOWN]:
        table.add_row(
            Text(printable(texts.place_text(each.item))),
            Text(printable(", ".join(each.truth))),
            Text(printable(each.label)),
            number(each.score),
        )
    console.print(table)
    console.print(Text("The model is sure of another label here: it is wrong, or the truth is", style="dim"))


def _print_comparison(of: Evaluation, found: Comparison, document: OutputEvaluation, console: Console) -> None:
    first, second = document.evaluated, document.against
    names = "the first", "the second"
    console.print()
    title = "clips" if of.is_of_clips else "videos"
    sides = f"first {_side(first.output, first.runs)}, second {_side(second.output, second.runs)}" if second else ""
    console.print(Text(printable(f"{title}: {sides}: {texts.compared_text(found)}")))
    for each in found.top:
        color = "green" if each.verdict in ("a is better", "b is better") else "yellow"
        console.print(Text(texts.difference_text(each, names), style=color))
    _print_changed("right, then wrong", found.right_to_wrong, console)
    _print_changed("wrong, then right", found.wrong_to_right, console)


def _side(output: str, runs: Sequence[str]) -> str:
    return f"{output} ({runs[0] if len(runs) == 1 else counted(len(runs), 'run')})"


def _print_changed(title: str, found: Sequence[ChangedItem], console: Console) -> None:
    if not found:
        return
    table = make_table(whole(title), "truth", "first", "second")
    shown, more = first_and_more(found, _ROWS_SHOWN)
    for each in shown:
        table.add_row(
            Text(printable(texts.place_text(each.item))),
            Text(printable(", ".join(each.truth))),
            *(
                Text(printable(f"{label or 'no label'} {number(score) if score is not None else ''}".strip()))
                for label, score in ((each.label_a, each.score_a), (each.label_b, each.score_b))
            ),
        )
    if more:
        table.add_row(more, "", "", "")
    console.print(table)
