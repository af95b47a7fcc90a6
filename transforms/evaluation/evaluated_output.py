"""The evaluation of an output against a truth file, as `reelbeam evaluate` reports it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from reelbeam.transforms.errors import ConfigError, RunError, StorageError
from reelbeam.transforms.evaluation.evaluation import Evaluation, EvaluationOptions, evaluate
from reelbeam.transforms.evaluation.judged import Judged
from reelbeam.transforms.evaluation.judging import Judgement, Ranking, judge
from reelbeam.transforms.evaluation.truth.label_names import (
    NamedTruth,
    UnknownLabel,
    label_names_of,
    name_labels,
)
from reelbeam.transforms.evaluation.truth.matching import Rung
from reelbeam.transforms.evaluation.truth.truth_file import TruthFile, read_truth
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.output.report_content.shown_rows import OnFile, ShownRows
from reelbeam.transforms.output.runs import Run
from reelbeam.transforms.redaction import without_query

FORMAT_VERSION = 1
"""Of the JSON. It increases if a key is renamed or removed, or if its meaning changes."""

MAX_NAMES = 100
"""The maximum number of names in each list of videos without a partner."""

TOP_K = 5


@dataclasses.dataclass(frozen=True)
class EvaluationRequest:
    """What to evaluate, and how.

    Attributes:
      truth: the truth file.
      labels: the label map that the user names; None: no such file.
      precision: the wished precision of the thresholds.
      match: how videos are matched; None: the strictest suitable way.
      ranking: what ranks the labels of a video.
      seed: of all samples.
    """

    truth: str
    labels: LabelMap | None = None
    precision: float = 0.9
    match: Rung | None = None
    ranking: Ranking = "mean"
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Names:
    """Names of videos.

    Attributes:
      count: how many there are.
      examples: the first 100.
    """

    count: int
    examples: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class EvaluatedRows:
    """The rows that were evaluated.

    Attributes:
      output: its folder or prefix.
      runs: the runs that have these rows, or only the last 100.
      models: of these runs.
      num_stored: the number of labels that the rows keep; the smallest one of the runs.
    """

    output: str
    runs: tuple[str, ...]
    models: tuple[str, ...]
    num_stored: int


@dataclasses.dataclass(frozen=True)
class TruthSummary:
    """The truth file, and what of it could be used.

    Attributes:
      file: its path.
      unit: what the numbers of its rows count: "line" or "row".
      rows: the number of rows.
      match: how videos were matched.
      matched: the videos of the truth that are in the output.
      truth_without_video, videos_without_truth: the others of each side.
      unknown_labels: labels that the model does not know, the most frequent first.
      renamed_labels: labels of the truth that the model writes in another way.
      left_out_videos, left_out_clips: not evaluated, because the model knows none of their labels.
      missing_clips: planned clips of matched videos that failed, so that they are not among the clips.
    """

    file: str
    unit: str
    rows: int
    match: Rung
    matched: int
    truth_without_video: Names
    videos_without_truth: Names
    unknown_labels: tuple[UnknownLabel, ...]
    renamed_labels: Mapping[str, str]
    left_out_videos: int
    left_out_clips: int
    missing_clips: int


@dataclasses.dataclass(frozen=True)
class OutputEvaluation:
    """How right the labels of an output are.

    Attributes:
      format_version: of this document.
      evaluated: the rows of the output.
      against: the rows that they are compared with; in comparisons these are b. None without them.
      ranking: what ranks the labels of a video.
      truth: the truth file.
      labels_source: where the names of the model's labels are from.
      has_all_labels: whether these are all classes of the model.
      videos: the evaluation of the videos.
      clips: that of the clips; None if the truth has no segments.
    """

    format_version: int
    evaluated: EvaluatedRows
    against: EvaluatedRows | None
    ranking: Ranking
    truth: TruthSummary
    labels_source: str
    has_all_labels: bool
    videos: Evaluation
    clips: Evaluation | None


def evaluate_output(
    rows: ShownRows, request: EvaluationRequest, against: ShownRows | None = None, on_file: OnFile = lambda path: None
) -> OutputEvaluation:
    """Evaluates the rows of an output.

    Args:
      rows: the rows.
      request: the truth file and the options.
      against: rows to compare with, of the same videos.
      on_file: called for each file that is read.

    Raises:
      ConfigError: a flag, the truth file or the label map does not fit, or the truth file cannot be read.
      RunError: the store of the truth file does not respond now.
      StorageError: the output cannot be read.
    """
    first, second = _Side(rows, request, on_file), against and _Side(against, request, on_file)
    options = EvaluationOptions(
        num_stored=first.rows.num_stored,
        top_k=min(TOP_K, first.rows.num_stored, second.rows.num_stored if second else TOP_K),
        precision=request.precision,
        label_order=first.label_order,
        seed=request.seed,
    )
    found = first.judgement
    others = _in_names_of(second, first) if second else (None, None)
    return OutputEvaluation(
        format_version=FORMAT_VERSION,
        evaluated=first.rows,
        against=second.rows if second else None,
        ranking=request.ranking,
        truth=_summary(first),
        labels_source=first.names.source,
        has_all_labels=first.names.is_complete,
        videos=evaluate(found.videos, options, others[0]),
        clips=evaluate(found.clips, options, others[1]) if len(found.clips) else None,
    )


class _Side:
    """The rows of an output beside their truth."""

    def __init__(self, rows: ShownRows, request: EvaluationRequest, on_file: OnFile) -> None:
        runs = rows.runs()
        self.rows = EvaluatedRows(
            rows.output.uri,
            tuple(run.run_id for run in runs[-MAX_NAMES:]),
            tuple(dict.fromkeys(run.labeled.model for run in runs)),
            min(map(_num_stored, runs), default=TOP_K),
        )
        self.names = label_names_of(rows, request.labels, on_file)
        is_one_map = len({run.labeled.label_map_fingerprint for run in runs}) == 1
        self.label_order = self.names.names if self.names.is_complete and is_one_map else ()
        self.file = _read(request.truth, self.names.separators)
        self.truth: NamedTruth = name_labels(self.file, self.names)
        self.judgement: Judgement = judge(rows, self.truth, request.match, request.ranking, on_file)


def _read(truth: str, separators: str) -> TruthFile:
    try:
        return read_truth(truth, separators)
    except StorageError as error:
        kind = RunError if error.transient else ConfigError
        raise kind(f"--truth {without_query(truth)} cannot be read: {error}") from error


def _num_stored(run: Run) -> int:
    """Returns the number of labels that the rows of a run have."""
    top_k = run.labeled.configuration.get("top_k")
    return top_k if isinstance(top_k, int) and top_k > 0 else TOP_K


def _summary(side: _Side) -> TruthSummary:
    found = side.judgement
    return TruthSummary(
        file=side.file.path,
        unit=side.file.unit,
        rows=len(side.file.rows),
        match=found.matching.rung,
        matched=len(found.matching.videos),
        truth_without_video=_first(found.matching.truth_without_video),
        videos_without_truth=_first(found.matching.videos_without_truth),
        unknown_labels=side.truth.unknown,
        renamed_labels=side.truth.renamed,
        left_out_videos=found.num_videos_left_out,
        left_out_clips=found.num_clips_left_out,
        missing_clips=found.num_missing_clips,
    )


def _first(names: Sequence[str]) -> Names:
    return Names(len(names), tuple(names[:MAX_NAMES]))


def _in_names_of(side: _Side, first: _Side) -> tuple[Sequence[Judged], Sequence[Judged]]:
    """Returns the videos and the clips of a side with the URIs that the first side has for the same names of the truth.

    So outputs of the same videos in two places can be compared.
    """
    theirs, ours = side.judgement.matching.videos, first.judgement.matching.videos
    uris = {uri: ours[name] for name, uri in theirs.items() if name in ours}
    if all(uri == ours_uri for uri, ours_uri in uris.items()):
        return side.judgement.videos, side.judgement.clips
    videos, clips = (
        tuple(dataclasses.replace(item, video_uri=uris.get(item.video_uri, item.video_uri)) for item in items)
        for items in (side.judgement.videos, side.judgement.clips)
    )
    return videos, clips
