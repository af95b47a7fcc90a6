"""Many judged videos or clips in little memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reelbeam.transforms.evaluation.judged import Judged
from reelbeam.transforms.evaluation.truth.answers import Answer

NONE = -1
"""Means None in the columns of times and indices."""

_ROW = np.dtype(
    [
        *[("video", "<i4"), ("answer", "<i4"), ("is_failed", "?"), ("num_labels", "<i4"), ("clip_index", "<i4")],
        *[("start_ms", "<i8"), ("end_ms", "<i8"), ("entropy", "<f4"), ("log_sum_exp", "<f4")],
    ]
)
_DEFAULTS = (0, 0, False, 0, NONE, NONE, NONE, np.nan, np.nan)
_LABEL = np.dtype([("label", "<i4"), ("score", "<f4")])

_NO_COLUMNS: Mapping[str, npt.ArrayLike] = {}

Rows = npt.NDArray[np.void]


class JudgedTable(Sequence[Judged]):
    """A sequence of judged videos or clips. It keeps 45 bytes for each, and 8 for each of its labels."""

    def __init__(self) -> None:
        self._parts: list[Rows] = []
        self._label_parts: list[Rows] = []
        self._rows = np.empty(0, _ROW)
        self._labels = np.empty(0, _LABEL)
        self._ends = np.zeros(1, np.int64)
        self._videos: dict[str, int] = {}
        self._answers: dict[Answer, int] = {}
        self._names: dict[str, int] = {}
        self._listed: tuple[list[str], list[Answer], list[str]] = ([], [], [])

    def extend(
        self,
        uris: Sequence[str],
        answers: Sequence[Answer],
        labels: pa.ListArray,
        score: str = "score",
        columns: Mapping[str, npt.ArrayLike] = _NO_COLUMNS,
    ) -> None:
        """Appends items. Call `finish` after the last ones.

        Args:
          uris: the video of each item.
          answers: the right labels of each item.
          labels: the labels of each item, as in the tables.
          score: the field of the labels that ranks them. Of equal scores, the first label is better.
          columns: the values of other fields of `Judged`. A time or an index of -1 is None.
        """
        rows = np.empty(len(uris), _ROW)
        rows[:] = _DEFAULTS
        rows["video"] = [self._videos.setdefault(uri, len(self._videos)) for uri in uris]
        rows["answer"] = [self._answers.setdefault(answer, len(self._answers)) for answer in answers]
        rows["num_labels"] = np.diff(labels.offsets.to_numpy())
        for name, column in columns.items():
            rows[name] = column
        values = labels.flatten()
        names = values.field("label").dictionary_encode()
        codes = np.array([self._names.setdefault(each, len(self._names)) for each in names.dictionary.to_pylist()], int)
        found = np.empty(len(values), _LABEL)
        found["label"] = codes[names.indices.to_numpy()]
        found["score"] = np.clip(values.field(score).to_numpy(), 0, 1)
        owners = np.repeat(np.arange(len(uris)), rows["num_labels"])
        self._parts.append(rows)
        self._label_parts.append(found[np.lexsort((-found["score"], owners))])

    def finish(self) -> JudgedTable:
        """Joins the appended items, and returns the table."""
        self._rows = np.concatenate([self._rows, *self._parts])
        self._labels = np.concatenate([self._labels, *self._label_parts])
        self._parts.clear()
        self._label_parts.clear()
        self._ends = np.concatenate([[0], np.cumsum(self._rows["num_labels"], dtype=np.int64)])
        self._listed = (list(self._videos), list(self._answers), list(self._names))
        return self

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Judged: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Judged]: ...

    def __getitem__(self, place: int | slice) -> Judged | Sequence[Judged]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(f"{place} of {len(self)}")
        place %= len(self)
        return next(self._between(place, place + 1))

    def __iter__(self) -> Iterator[Judged]:
        step = 10_000
        for start in range(0, len(self), step):
            yield from self._between(start, min(start + step, len(self)))

    def _between(self, start: int, end: int) -> Iterator[Judged]:
        uris, answers, all_names = self._listed
        first = int(self._ends[start])
        labels = self._labels[first : self._ends[end]]
        names = [all_names[code] for code in labels["label"].tolist()]
        scores = labels["score"].tolist()
        ends = (self._ends[start : end + 1] - first).tolist()
        for place, row in enumerate(self._rows[start:end].tolist()):
            video, answer, is_failed, _, clip_index, start_ms, end_ms, entropy, log_sum_exp = row
            found, mine = answers[answer], slice(ends[place], ends[place + 1])
            is_clip = clip_index != NONE
            yield Judged(
                video_uri=uris[video],
                truth=found.truth,
                labels=tuple(names[mine]),
                scores=tuple(scores[mine]),
                is_failed=is_failed,
                clip_index=clip_index if is_clip else None,
                start_ms=None if start_ms == NONE else start_ms,
                end_ms=None if end_ms == NONE else end_ms,
                entropy=entropy if is_clip else None,
                log_sum_exp=log_sum_exp if is_clip else None,
                acceptable=found.acceptable,
            )
