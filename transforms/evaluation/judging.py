"""Judge the rows of an output against a truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from reelbeam.transforms.errors import UnusableFileError
from reelbeam.transforms.evaluation.judged import Judged
from reelbeam.transforms.evaluation.judged_table import Item, JudgedTable
from reelbeam.transforms.evaluation.truth.answers import VideoTruth, truth_by_video
from reelbeam.transforms.evaluation.truth.label_names import NamedTruth
from reelbeam.transforms.evaluation.truth.matching import Matching, Rung, match_videos
from reelbeam.transforms.output.digest.shown_rows import OnFile, ShownRows
from reelbeam.transforms.schemas import RANGE, Row

Ranking: TypeAlias = Literal["mean", "max"]
"""What ranks the labels of a video: the mean of the clips' scores, as in the videos table, or the score of the best
clip. Both rank the labels that the videos table has, which are those with the best means."""

_SCORES: dict[Ranking, str] = {"mean": "score", "max": "max_score"}
_VIDEO_COLUMNS = ("video_uri", *RANGE, "status", "labels", "num_planned_clips", "num_clips", "duration_ms")
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
      num_missing_clips: the planned clips of `videos` that failed. They are not in `clips`, because they have no times.
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
            has_truth = found != _NO_TRUTH
            batch = batch.filter(pa.array(has_truth))
            items = []
            for place, row in zip(found[has_truth].tolist(), _without_labels(batch), strict=True):
                items.append(self._video(self._truth[place], row))
                self.num_missing_clips += max(0, row["num_planned_clips"] - row["num_clips"])
            is_known = [not item.answer.is_unknown for item in items]
            self.num_videos_left_out += len(items) - sum(is_known)
            self._extend(table, items, is_known, batch["labels"], score)
            self.num_failed += sum(item.is_failed for item in items if not item.answer.is_unknown)
        return table.finish()

    def clips(self) -> JudgedTable:
        """Returns the clips of the videos that `videos` has found."""
        table = JudgedTable()
        for batch, numbers in self._rows.numbered("clips", _CLIP_COLUMNS, self._open):
            found = self._truth_of[numbers]
            batch = batch.filter(pa.array(found != _NO_TRUTH))
            items = []
            for place, row in zip(found[found != _NO_TRUTH].tolist(), _without_labels(batch), strict=True):
                items.append(
                    Item(
                        video_uri=self._uris[place],
                        answer=self._truth[place].of_part(row["start_ms"], row["end_ms"]),
                        **{name: row[name] for name in _COPIED},
                    )
                )
            is_known = [not item.answer.is_unknown for item in items]
            self.num_clips_left_out += len(items) - sum(is_known)
            self._extend(table, items, is_known, batch["labels"], "score")
        return table.finish()

    def _open(self, path: str) -> None:
        self._path = path
        self._on_file(path)

    def _video(self, truth: VideoTruth, row: Row) -> Item:
        start, end = (row[name] for name in RANGE)
        is_failed = row["status"] == "failed"
        if start is None and end is None:
            return Item(row["video_uri"], truth.of_video(), is_failed)
        start = start or 0
        end = start + (row["duration_ms"] or 0) if end is None else end
        return Item(row["video_uri"], truth.of_part(start, end), is_failed, start_ms=start, end_ms=end)

    def _extend(
        self, table: JudgedTable, items: Sequence[Item], is_known: Sequence[bool], labels: pa.ListArray, score: str
    ) -> None:
        scores = labels.flatten().field(score).to_numpy()
        if not ((scores >= 0) & (scores <= 1 + _ROUNDING)).all():  # also NaN
            raise UnusableFileError(f"{self._path} has a score outside 0 to 1: label those videos again")
        kept = labels.filter(pa.array(is_known, pa.bool_()))
        table.extend([item for item, known in zip(items, is_known, strict=True) if known], kept, score)


def _without_labels(batch: pa.RecordBatch) -> list[Row]:
    return batch.drop_columns(["labels"]).to_pylist()
