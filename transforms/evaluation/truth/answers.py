"""The right labels of videos, and of parts of them."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from reelbeam.transforms.evaluation.truth.label_names import NamedTruth
from reelbeam.transforms.evaluation.truth.truth_file import TruthRow


class Answer(NamedTuple):
    """The right labels of a video or a clip.

    Attributes:
      truth: the right labels; empty: none of the classes.
      acceptable: further labels that are not wrong.
      is_unknown: whether the truth has labels, and the model knows none of them.
    """

    truth: frozenset[str] = frozenset()
    acceptable: frozenset[str] = frozenset()
    is_unknown: bool = False


class VideoTruth:
    """The rows of the truth file about one video.

    Args:
      rows: the rows.
      only_unknown: the numbers of the rows whose labels are all unknown.
    """

    def __init__(self, rows: Iterable[TruthRow], only_unknown: frozenset[int]) -> None:
        ordered = sorted(rows, key=lambda row: row.start_ms or 0)
        self._whole = [row for row in ordered if not row.is_segment]
        self._segments = [row for row in ordered if row.is_segment]
        self._starts = [row.start_ms or 0 for row in self._segments]
        self._only_unknown = only_unknown

    def of_video(self) -> Answer:
        """Returns the answer for the whole video: the labels of all its rows."""
        return self._answer([*self._whole, *self._segments])

    def of_part(self, start_ms: int, end_ms: int) -> Answer:
        """Returns the answer for a part of the video, such as a clip.

        A segment counts if the middle of the part is in it, and at least half of the part. A part without a segment
        shows none of the classes, unless the truth has rows about the whole video, which count for each part.
        """
        middle = (start_ms + end_ms) / 2
        rows = list(self._whole)
        for row in self._segments[: bisect.bisect_right(self._starts, middle)]:
            segment_end = max(end_ms, start_ms) + 1 if row.end_ms is None else row.end_ms
            overlap = min(end_ms, segment_end) - max(start_ms, row.start_ms or 0)
            if middle < segment_end and 2 * overlap >= end_ms - start_ms:
                rows.append(row)
        return self._answer(rows)

    def _answer(self, rows: Iterable[TruthRow]) -> Answer:
        rows = list(rows)
        truth = frozenset(label for row in rows for label in row.labels)
        acceptable = frozenset(label for row in rows for label in row.acceptable)
        is_unknown = not truth and any(row.number in self._only_unknown for row in rows)
        return Answer(truth, acceptable - truth, is_unknown)


def truth_by_video(truth: NamedTruth, videos: Mapping[str, str]) -> dict[str, VideoTruth]:
    """Returns the truth of each matched video.

    Args:
      truth: the truth.
      videos: the URI in the output of each matched video, by its name in the truth file.
    """
    rows: dict[str, list[TruthRow]] = {}
    for row in truth.rows:
        if row.video in videos:
            rows.setdefault(videos[row.video], []).append(row)
    return {uri: VideoTruth(found, truth.only_unknown) for uri, found in rows.items()}
