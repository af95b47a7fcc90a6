"""The sentences of `reelbeam evaluate`."""

from __future__ import annotations

from collections.abc import Iterator

from reelbeam.transforms.evaluation.accuracy import TopK
from reelbeam.transforms.evaluation.calibration import MIN_ITEMS, Calibration
from reelbeam.transforms.evaluation.comparison import Comparison, Difference
from reelbeam.transforms.evaluation.confusions import ItemKey
from reelbeam.transforms.evaluation.evaluated_output import OutputEvaluation, TruthSummary
from reelbeam.transforms.evaluation.evaluation import Evaluation
from reelbeam.transforms.evaluation.intervals import MIN_VIDEOS, Proportion
from reelbeam.transforms.evaluation.novelty import Separation
from reelbeam.transforms.evaluation.thresholds import DELTA, Threshold, Thresholds
from reelbeam.transforms.evaluation.truth.label_names import UnknownLabel
from reelbeam.transforms.output.comparison.wording import p_text, percent
from reelbeam.transforms.wording import counted, first_and_more

_MATCH_TEXTS = {
    "exact": "by their URIs",
    "uri": "by their normalized URIs",
    "suffix": "by the ends of their paths",
    "name": "by their file names",
    "stem": "by their file names without extension",
}
_CALIBRATION_TEXTS = {
    "scores too high": "the scores are too high",
    "scores too low": "the scores are too low",
    "miscalibrated": "some scores are too high, others too low",
    "not distinguishable": "not distinguishable from perfect calibration",
}


def number(value: float | None) -> str:
    """Returns a share or a score as text; "-" for None.

    >>> number(0.8125), number(None), number(1.0)
    ('0.81', '-', '1.00')
    """
    return "-" if value is None else f"{value:.2f}"


def interval(low: float | None, high: float | None) -> str:
    """Returns an interval as text; "" for None.

    >>> interval(0.7, 0.89), interval(None, None)
    ('0.70 to 0.89', '')
    """
    return "" if low is None or high is None else f"{low:.2f} to {high:.2f}"


def share(found: Proportion) -> str:
    """Returns a share with its interval.

    >>> share(Proportion(52, 64, 52 / 64, 0.7, 0.889, "wilson"))
    '0.81 (95 %: 0.70 to 0.89)'
    >>> share(Proportion(1, 2, 0.5, None, None, "none"))
    '0.50 (1 of 2)'
    """
    shown = interval(found.low, found.high)
    return f"{number(found.value)} ({f'95 %: {shown}' if shown else f'{found.hits} of {found.total}'})"


def items(count: int, found: Evaluation) -> str:
    """Returns a number of items with their noun."""
    return counted(count, "clip" if found.is_of_clips else "video")


def headline(found: Evaluation) -> str:
    """Returns the accuracy as a sentence without a full stop."""
    first, *others = found.accuracy.top
    if not first.with_failed.total:
        return f"no accuracy: none of the {items(found.counts.items, found)} with truth has a class of the model"
    more = "".join(f", {top_name(each)} {share(each.with_failed)}" for each in others)
    return f"{top_name(first)} {share(first.with_failed)} of {items(first.with_failed.total, found)}{more}"


def top_name(top: TopK | Difference) -> str:
    """Returns the name of an accuracy, such as "top-5"."""
    return f"top-{top.k}"


def truth_text(truth: TruthSummary) -> str:
    """Returns how many videos have truth."""
    return (
        f"{truth.file}: {counted(truth.matched, 'video')} found in the output {_MATCH_TEXTS[truth.match]}, "
        f"{truth.truth_without_video.count} not in the output; {truth.videos_without_truth.count} of the output "
        "without truth"
    )


def counts_text(found: Evaluation) -> str:
    """Returns which kinds of items there are."""
    counts = found.counts
    parts = [f"{items(counts.with_class, found)} with a class", f"{counts.without_class} with none of the classes"]
    parts += [f"{counts.failed} failed"]
    parts += [f"{counts.nothing_recognized} with nothing recognized"] if counts.nothing_recognized else []
    parts += [f"{counts.undecided} with a top label that is only acceptable"] if counts.undecided else []
    return ", ".join(parts)


def unknown_text(label: UnknownLabel, unit: str) -> str:
    """Returns a label that the model does not know, where it is, and what it may mean.

    >>> unknown_text(UnknownLabel("archry", 2, 7, ("archery",)), "line")
    "'archry' (2 rows, first in line 7; did you mean 'archery'?)"
    """
    near = f"; did you mean {' or '.join(map(repr, label.near))}?" if label.near else "; no similar name"
    return f"{label.label!r} ({counted(label.num_rows, 'row')}, first in {unit} {label.first_row}{near})"


def unknown_labels_text(truth: TruthSummary, most: int = 5) -> str:
    """Returns the labels of the truth that are not labels of the model, and what to do."""
    shown, more = first_and_more([unknown_text(each, truth.unit) for each in truth.unknown_labels], most)
    names = ", ".join([*shown, *filter(None, [more])])
    is_one = len(truth.unknown_labels) == 1
    return (
        f"{counted(len(truth.unknown_labels), 'label')} of {truth.file} {'is' if is_one else 'are'} not among the "
        f"labels of the model: {names}; correct {'it' if is_one else 'them'}, or pass --ignore_unknown_labels"
    )


def calibration_text(found: Calibration) -> str:
    """Returns whether scores can be read as probabilities."""
    error, floor = found.expected_calibration_error, found.error_floor
    if error is None or floor is None:
        return f"calibration: too few videos ({found.count} of at least {MIN_ITEMS})"
    return (
        f"calibration: {_CALIBRATION_TEXTS[found.verdict]} (mean score {number(found.mean_score)}, right "
        f"{number(found.accuracy)}; expected calibration error {error:.3f}, up to {floor:.3f} by chance alone with "
        f"{counted(found.count, 'video')})"
    )


def threshold_text(found: Threshold, precision: float) -> str:
    """Returns the lowest score to trust, or why there is none."""
    if found.cut is not None:
        return (
            f"labels with a score of at least {found.cut:g} are right in at least {percent(precision)} of cases "
            f"(chance of an error: {percent(found.delta)}): {found.right} of {found.accepted} were, and "
            f"{percent(found.coverage or 0.0)} of the labels are kept"
        )
    promised = f"no score can be promised for a precision of {precision:g} from {counted(found.total, 'video')}"
    if found.more_needed is not None:
        return f"{promised}: about {found.more_needed} more videos are needed"
    if found.surest is None:
        return promised
    surest = found.surest
    shown = f"{surest.hits} of {surest.total} are right (95 %: {interval(surest.low, surest.high)})"
    if is_too_often_wrong(found, precision):
        return f"{promised}: the surest labels are wrong too often, {shown}"
    return f"{promised}: these are too few to know whether the surest labels are right often enough, {shown}"


def is_too_often_wrong(found: Threshold, precision: float) -> bool:
    """Returns whether the surest labels have less than the wished precision by more than chance."""
    return found.surest is not None and found.surest.high is not None and found.surest.high < precision


def thresholds_limit_text(found: Thresholds) -> str:
    """Returns what the promise of the thresholds is about."""
    return (
        "This holds for videos like those of the truth, with one decision for each: its top label. All scores together "
        f"are wrong in at most {percent(DELTA)} of evaluations. A class needs {found.min_class_items} right labels for "
        "a score of its own"
    )


def separation_text(found: Separation) -> str:
    """Returns how well a number separates videos with none of the classes from the others."""
    if found.auroc is None:
        return f"{found.signal}: no videos of one kind"
    shown = interval(found.low, found.high)
    return f"{found.signal} {number(found.auroc)}" + (f" ({shown})" if shown else "")


def difference_text(found: Difference, names: tuple[str, str]) -> str:
    """Returns which output is better, by how much, and whether it may be chance.

    Args:
      found: the difference.
      names: the names of both outputs.
    """
    if found.difference is None:
        return f"{top_name(found)}: no item with truth is in both"
    numbers = f"{number(found.accuracy_a)}, then {number(found.accuracy_b)}"
    shown = _signed_interval(found)
    size = f"{found.difference:+.2f}" + (f", 95 %: {shown}" if shown else "")
    chance = f", p = {p_text(found.p_value)}" if found.p_value is not None else ""
    only = f"only the first is right on {found.only_a_right}, only the second on {found.only_b_right}"
    verdicts = {
        "a is better": f"{names[0]} is better",
        "b is better": f"{names[1]} is better",
        "no difference shown": "the difference may be chance",
        "too few videos": f"too few videos for a verdict: {MIN_VIDEOS} are needed",
    }
    return f"{top_name(found)}: {verdicts[found.verdict]} ({numbers}: {size}{chance}; {only})"


def _signed_interval(found: Difference) -> str:
    return "" if found.low is None or found.high is None else f"{found.low:+.2f} to {found.high:+.2f}"


def compared_text(found: Comparison) -> str:
    """Returns what was compared."""
    text = f"{counted(found.videos, 'video')} with truth in both"
    if found.only_in_a or found.only_in_b:
        text += f", {found.only_in_a} only in the first, {found.only_in_b} only in the second"
    return text + (f", {found.left_out} left out because they repeat or have other truth" if found.left_out else "")


def place_text(item: ItemKey) -> str:
    """Returns a video, or a clip with its seconds.

    >>> place_text(ItemKey("/v/a.mp4", 3, 30_000, 40_000))
    '/v/a.mp4 at 30 to 40 s'
    """
    if item.start_ms is None or item.end_ms is None:
        return item.video_uri
    return f"{item.video_uri} at {item.start_ms / 1000:g} to {item.end_ms / 1000:g} s"


def warning_texts(found: OutputEvaluation) -> Iterator[str]:
    """Yields what makes the results doubtful."""
    videos, truth = found.videos, found.truth
    if len(found.evaluated.models) > 1:
        yield f"the rows are of several models ({', '.join(found.evaluated.models)}): pass --run RUN"
    if videos.counts.videos < MIN_VIDEOS:
        yield f"{counted(videos.counts.videos, 'video')} with truth say little: {MIN_VIDEOS} or more are better"
    if truth.unknown_labels:
        left_out = f"; {counted(truth.left_out_videos, 'video')} left out for that" if truth.left_out_videos else ""
        yield unknown_labels_text(truth) + left_out
    if not found.has_all_labels:
        yield (
            f"the names of the model's labels are from {found.labels_source}, which are not all of them: pass "
            "--labels FILE to find misspelled labels"
        )
    if videos.truth_checks.is_always_in_top:
        yield (
            "each video has a right label among the stored ones: if the truth was chosen from the labels of the model, "
            "the accuracy is too high"
        )
    if (shift := videos.truth_checks.shift) is not None:
        yield (
            f"with the names of the classes shifted by {shift.by:+d}, {shift.shifted_hits} instead of {shift.hits} of "
            f"{shift.total} are right: the label file may be of another model"
        )
    if truth.missing_clips:
        yield f"{counted(truth.missing_clips, 'clip')} of these videos failed"
