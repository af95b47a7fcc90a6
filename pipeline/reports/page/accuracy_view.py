"""How right the labels are, as view models."""

from __future__ import annotations

import dataclasses

from reelbeam.pipeline.reports.page import text
from reelbeam.pipeline.reports.page.cards import Card, CardMaker
from reelbeam.pipeline.reports.page.charts.reliability import Point, reliability
from reelbeam.pipeline.reports.page.overview import Figure
from reelbeam.pipeline.reports.page.tables import Chart, Table
from reelbeam.transforms.evaluation.accuracy import TopK
from reelbeam.transforms.evaluation.calibration import Calibration
from reelbeam.transforms.evaluation.evaluation import Evaluation
from reelbeam.transforms.evaluation.intervals import Proportion
from reelbeam.transforms.output.report_content.shown_clips import ShownClip

_ROWS = 15
_NOTHING = "–"


@dataclasses.dataclass(frozen=True)
class WrongVideo:
    """A video whose top label is wrong.

    Attributes:
      truth: the right labels.
      clip: its surest clip.
    """

    truth: str
    clip: ShownClip


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """How right the labels of the shown videos are.

    Attributes:
      evaluation: of the videos.
      sentences: what it says.
      calibration: whether scores and accuracy agree, as a sentence.
      warnings: what makes it doubtful.
      wrong: some of the videos whose top label is wrong, the surest first; `num_wrong` how many there are.
    """

    evaluation: Evaluation
    sentences: tuple[str, ...]
    calibration: str
    warnings: tuple[str, ...]
    wrong: tuple[WrongVideo, ...]
    num_wrong: int

    def clips(self) -> tuple[ShownClip, ...]:
        """Returns the clips that are shown."""
        return tuple(video.clip for video in self.wrong)


@dataclasses.dataclass(frozen=True)
class JudgedCard:
    """A clip with the right labels of its video."""

    truth: str
    card: Card


@dataclasses.dataclass(frozen=True)
class AccuracyView:
    """How right the labels are.

    Attributes:
      title: the accuracy in a few words, and `sentences` with numbers.
      warnings: what makes it doubtful.
      figures: the numbers.
      reliability: scores against shares of right labels; None for too few videos.
      tables: of classes and of confusions.
      wrong: videos to look at, and `wrong_text` how many there are.
    """

    title: str
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]
    figures: tuple[Figure, ...]
    reliability: Chart | None
    tables: tuple[Table, ...]
    wrong: tuple[JudgedCard, ...]
    wrong_text: str


def accuracy_view(accuracy: Accuracy, maker: CardMaker) -> AccuracyView:
    """Returns the view of an evaluation."""
    found = accuracy.evaluation
    first = found.accuracy.top[0].with_failed
    cards = (
        JudgedCard(text.shown_label(video.truth), maker.card(video.clip, "wrong labels")) for video in accuracy.wrong
    )
    return AccuracyView(
        title=f"{text.percent(first.hits, first.total)} of the top labels are right" if first.total else "No accuracy",
        sentences=accuracy.sentences,
        warnings=accuracy.warnings,
        figures=(
            *(_accuracy_figure(top) for top in found.accuracy.top),
            Figure("Mean over classes", _share(found.accuracy.top[0].mean_over_classes), "top-1"),
            Figure("Classes", text.number(found.accuracy.num_classes), "with truth"),
            Figure("Videos", text.number(found.counts.items), f"with truth, {text.number(found.counts.failed)} failed"),
        ),
        reliability=_reliability(found.calibration, text.shown_message(accuracy.calibration))
        if found.calibration.bins
        else None,
        tables=tuple(table for table in (_classes(found), _confusions(found)) if table.rows),
        wrong=tuple(cards),
        wrong_text=f"{text.number(len(accuracy.wrong))} of {text.many(accuracy.num_wrong, 'video')}",
    )


def _accuracy_figure(top: TopK) -> Figure:
    found = top.with_failed
    return Figure(
        f"Top-{top.k}", _share(found.value), f"95 %: {_interval(found)}, of {text.many(found.total, 'video')}"
    )


def _reliability(found: Calibration, finding: str) -> Chart:
    title = "Scores and right labels"
    points = [Point(each.mean_score, each.accuracy, each.low, each.high) for each in found.bins]
    rows = tuple(
        (
            f"{text.score(each.lowest_score)} – {text.score(each.highest_score)}",
            text.number(each.count),
            text.score(each.mean_score),
            text.score(each.accuracy),
            f"{text.score(each.low)} to {text.score(each.high)}",
        )
        for each in found.bins
    )
    table = Table(title, ("Score", "Videos", "Mean score", "Right", "95 % interval"), rows)
    return Chart(title, finding, reliability("reliability", title, finding, points), table)


def _classes(found: Evaluation) -> Table:
    known = [each for each in found.per_class.classes if each.support][:_ROWS]
    rows = tuple(
        (text.shown_label(each.label), str(each.support), _share(each.recall.value), _share(each.precision.value))
        for each in known
    )
    return Table("The most frequent classes", ("Class", "Videos", "Recall", "Precision"), rows)


def _confusions(found: Evaluation) -> Table:
    rows = tuple(
        (
            text.shown_label(each.truth or "none of the classes"),
            text.shown_label(each.answer if each.said is None else each.said),
            str(each.count),
            text.percent(each.share, 1),
        )
        for each in found.confusions[:_ROWS]
    )
    return Table("The most frequent wrong labels", ("Truth", "Said instead", "Videos", "Share"), rows)


def _share(value: float | None) -> str:
    return _NOTHING if value is None else text.score(value)


def _interval(found: Proportion) -> str:
    if found.low is None or found.high is None:
        return _NOTHING
    return f"{text.score(found.low)} to {text.score(found.high)}"
