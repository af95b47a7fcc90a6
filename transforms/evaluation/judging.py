"""Judge the rows of an output against a truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reelbeam.transforms.errors import UnusableFileError
from reelbeam.transforms.evaluation.judged import Judged
from reelbeam.transforms.evaluation.judged_table import NONE, JudgedTable
from reelbeam.transforms.evaluation.truth.answers import VideoTruth, truth_by_video
from reelbeam.transforms.evaluation.truth.label_names import NamedTruth
from reelbeam.transforms.evaluation.truth.matching import Matching, Rung, match_videos
from reelbeam.transforms.output.report_content.shown_rows import OnFile, ShownRows
from reelbeam.transforms.schemas import RANGE

Ranking: TypeAlias = Literal["mean", "max"]
"""What ranks the labels of a video: the mean of the clips' scores, as in the videos table, or the score of the best
clip. Both rank the labels that the videos table has, which are those with the best means."""

_SCORES: dict[Ranking, str] = {"mean": "score", "max": "max_score"}
_SPAN = (*RANGE, "duration_ms")
_PLANNED_AND_FOUND = ("num_planned_clips", "num_clips")
_VIDEO_COLUMNS = ("video_uri", *_SPAN, "status", "labels", *_PLANNED_AND_FOUND)
_COPIED = ("clip_index", "start_ms", "end_ms", "entropy", "log_sum_exp")
_CLIP_COLUMNS = (*_COPIED, "labels")
_ROUNDING = 1e-4
_NO_TRUTH = -1


class Judgement(NamedTuple):
    """The rows of an output beside their truth.

    Attributes:
      videos: the labeled videos with truth, and ranges of videos.
      clips: their clips; empty if the truth has no segments.
      matching: which videos have truth.
      num_failed: the number of failed ones among `videos`.
      num_videos_left_out, num_clips_left_out: how many are not judged, because the model knows none of their labels.
      num_missing_clips: the planned clips of matched videos that failed. They are not in `clips`: they have no times.
    """

    videos: Sequence[Judged]
    clips: Sequence[Judged]
    matching: Matching
    num_failed: int
    num_videos_left_out: int
    num_clips_left_out: int
    num_missing_clips: int


def judge(
    rows: ShownRows,
    truth: NamedTruth,
    rung: Rung | None = None,
    ranking: Ranking = "mean",
    on_file: OnFile = lambda path: None,
) -> Judgement:
    """Judges the rows of an output against a truth.

    A range of a video is judged like a clip, by the segments of the truth that it shows.

    Args:
      rows: the rows of the output.
      truth: the truth, with the labels of the model.
      rung: how videos are matched, see `match_videos`; None: the strictest suitable way.
      ranking: what ranks the labels of a video.
      on_file: called for each file that is read.

    Raises:
      ConfigError: no video matches, or several do.
      StorageError: a file cannot be read, or it has scores outside [0, 1].
    """
    uris = (uri for batch in rows.batches("videos", ["video_uri"], on_file) for uri in batch["video_uri"].to_pylist())
    matching = match_videos((row.video for row in truth.rows), uris, rung)
    reader = _Reader(rows, truth_by_video(truth, matching.videos), on_file)
    videos = reader.videos(_SCORES[ranking])
    clips = reader.clips() if truth.has_segments else JudgedTable().finish()
    return Judgement(
        videos,
        clips,
        matching,
        reader.num_failed,
        reader.num_videos_left_out,
        reader.num_clips_left_out,
        reader.num_missing_clips,
    )


class _Reader:
    """Reads the videos with truth, then their clips."""

    def __init__(self, rows: ShownRows, truth: dict[str, VideoTruth], on_file: OnFile) -> None:
        self._rows = rows
        self._on_file = on_file
        self._path = ""
        self._uris = list(truth)
        self._truth = list(truth.values())
        self._truth_of = np.full(rows.num_videos, _NO_TRUTH, np.int64)
        self.num_failed = self.num_videos_left_out = self.num_clips_left_out = self.num_missing_clips = 0

    def videos(self, score: str) -> JudgedTable:
        """Returns the videos with truth, and remembers which they are."""
        places = {uri: place for place, uri in enumerate(self._uris)}
        table = JudgedTable()
        for batch, numbers in self._rows.numbered("videos", _VIDEO_COLUMNS, self._open):
            found = np.array([places.get(uri, _NO_TRUTH) for uri in batch["video_uri"].to_pylist()], np.int64)
            self._truth_of[numbers] = found
            batch = batch.filter(pa.array(found != _NO_TRUTH))
            self.num_missing_clips += pc.sum(pc.subtract(*map(batch.column, _PLANNED_AND_FOUND))).as_py() or 0
            spans = [_span(*bounds) for bounds in zip(*(batch[name].to_pylist() for name in _SPAN), strict=True)]
            part = _Part(found[found != _NO_TRUTH].tolist(), spans, batch["labels"], {})
            part.columns["is_failed"] = pc.equal(batch["status"], "failed").to_numpy(zero_copy_only=False)
            part.columns["start_ms"] = np.array([NONE if span is None else span[0] for span in spans], np.int64)
            part.columns["end_ms"] = np.array([NONE if span is None else span[1] for span in spans], np.int64)
            is_known = self._extend(table, part, score)
            self.num_videos_left_out += int((~is_known).sum())
            self.num_failed += int(part.columns["is_failed"][is_known].sum())
        return table.finish()

    def clips(self) -> JudgedTable:
        """Returns the clips of the videos that `videos` has found."""
        table = JudgedTable()
        for batch, numbers in self._rows.numbered("clips", _CLIP_COLUMNS, self._open):
            found = self._truth_of[numbers]
            batch = batch.filter(pa.array(found != _NO_TRUTH))
            spans = list(zip(batch["start_ms"].to_pylist(), batch["end_ms"].to_pylist(), strict=True))
            columns = {name: batch[name].to_numpy() for name in _COPIED}
            is_known = self._extend(table, _Part(found[found != _NO_TRUTH].tolist(), spans, batch["labels"], columns))
            self.num_clips_left_out += int((~is_known).sum())
        return table.finish()

    def _open(self, path: str) -> None:
        self._path = path
        self._on_file(path)

    def _extend(self, table: JudgedTable, part: _Part, score: str = "score") -> npt.NDArray[np.bool_]:
        """Appends the rows to a table, except those with unknown labels only. Returns which rows it appends."""
        scores = part.labels.flatten().field(score).to_numpy()
        if not ((scores >= 0) & (scores <= 1 + _ROUNDING)).all():  # also NaN
            raise UnusableFileError(f"{self._path} has a score outside 0 to 1: label those videos again")
        answers = [
            self._truth[place].of_video() if span is None else self._truth[place].of_part(*span)
            for place, span in zip(part.places, part.spans, strict=True)
        ]
        is_known = np.array([not answer.is_unknown for answer in answers], bool)
        table.extend(
            [self._uris[place] for place, known in zip(part.places, is_known, strict=True) if known],
            [answer for answer in answers if not answer.is_unknown],
            part.labels.filter(pa.array(is_known)),
            score,
            {name: column[is_known] for name, column in part.columns.items()},
        )
        return is_known


class _Part(NamedTuple):
    """Rows of a table.

    Attributes:
      places: the places of their truth.
      spans: their start and end in milliseconds; None: the whole video.
      labels: their labels.
      columns: values for `JudgedTable.extend`.
    """

    places: list[int]
    spans: Sequence[tuple[int, int] | None]
    labels: pa.ListArray
    columns: dict[str, npt.NDArray[np.generic]]


def _span(start_ms: int | None, end_ms: int | None, duration_ms: int | None) -> tuple[int, int] | None:
    """Returns the start and the end of a labeled range; None for a whole video."""
    if start_ms is None and end_ms is None:
        return None
    start = start_ms or 0
    return start, start + (duration_ms or 0) if end_ms is None else end_ms
