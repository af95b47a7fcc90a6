"""The part of a report about accuracy: an evaluation, and the wrong videos to look at."""

from __future__ import annotations

from collections.abc import Iterator

from reelbeam.pipeline.reports import evaluation_texts as texts
from reelbeam.pipeline.reports.page.accuracy_view import Accuracy, WrongVideo
from reelbeam.transforms.evaluation.confusions import ItemKey
from reelbeam.transforms.evaluation.evaluated_output import EvaluationRequest, evaluate_output
from reelbeam.transforms.evaluation.evaluation import Evaluation
from reelbeam.transforms.output.report_content.chosen_rows import InputFacts, inputs_of, surest_clips
from reelbeam.transforms.output.report_content.shown_clips import ShownClip
from reelbeam.transforms.output.report_content.shown_rows import OnFile, ShownRows

MAX_WRONG = 24
_NO_CLASS = "none of the classes"


def judge_rows(rows: ShownRows, request: EvaluationRequest, on_file: OnFile = lambda path: None) -> Accuracy:
    """Evaluates the rows of a report, and chooses wrong videos: first those of which the model is sure.

    Raises:
      ConfigError: a flag, the truth file or the label map does not fit.
      StorageError: a file cannot be read.
    """
    found = evaluate_output(rows, request, on_file=on_file)
    videos = found.videos
    wrong: dict[ItemKey, str] = {}
    for item, truth in _wrong(videos):
        wrong.setdefault(item, truth)
    clips = _clips(rows, wrong, on_file)
    shown = [WrongVideo(truth, clips[item]) for item, truth in wrong.items() if item in clips]
    return Accuracy(
        evaluation=videos,
        sentences=(
            f"{texts.counts_text(videos)}.",
            f"{_capital(texts.threshold_text(videos.thresholds.overall, videos.thresholds.precision))}.",
        ),
        calibration=f"{_capital(texts.calibration_text(videos.calibration))}.",
        warnings=tuple(f"{_capital(warning)}." for warning in texts.warning_texts(found)),
        wrong=tuple(shown[:MAX_WRONG]),
        num_wrong=sum(each.count for each in videos.confusions if each.said is not None),
    )


def _wrong(found: Evaluation) -> Iterator[tuple[ItemKey, str]]:
    """Yields wrong videos with their right labels. A video may come twice, with the same labels or one of several."""
    for suspect in found.truth_checks.suspects:
        yield suspect.item, ", ".join(suspect.truth)
    for confusion in found.confusions:
        if confusion.said is not None:
            yield from ((item, confusion.truth or _NO_CLASS) for item in confusion.examples)


def _clips(rows: ShownRows, wrong: dict[ItemKey, str], on_file: OnFile) -> dict[ItemKey, ShownClip]:
    """Returns the surest clip of each video, as far as there is one."""
    inputs = inputs_of(rows, {item.video_uri for item in wrong}, on_file)
    places = {_place(facts): number for number, facts in inputs.items()}
    chosen = {
        item: places[item.video_uri, item.start_ms] for item in wrong if (item.video_uri, item.start_ms) in places
    }
    clips = surest_clips(rows, {number: inputs[number] for number in chosen.values()}, on_file)
    return {item: clips[number] for item, number in chosen.items() if number in clips}


def _place(facts: InputFacts) -> tuple[str, int | None]:
    """Returns the video and the start of the labeled range; None for a whole video."""
    is_whole = facts.range_start_ms is None and facts.range_end_ms is None
    return facts.video_uri, None if is_whole else facts.range_start_ms or 0


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
