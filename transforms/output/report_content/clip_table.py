"""One pass over the shown rows of the clips table: 72 bytes for each clip, from which clips are chosen."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reelbeam.transforms.output.arrays import Numbers, Scores
from reelbeam.transforms.output.report_content.shown_rows import OnFile, ShownRows
from reelbeam.transforms.output.report_content.video_facts import VideoOrder
from reelbeam.transforms.output.tables import recognized

NO_LABEL = -1
MAX_MS = 1 << 53
"""The greatest time in milliseconds. Rows are not trusted, and differences of greater ones would exceed 64 bits."""

_COPIED = ("clip_index", "start_ms", "end_ms", "top_score", "entropy", "log_sum_exp")
_ROW = np.dtype(
    [
        *[("input", "<i8"), ("clip_index", "<i4"), ("start_ms", "<i8"), ("end_ms", "<i8"), ("label", "<i4")],
        *[("top_score", "<f4"), ("margin", "<f4"), ("entropy", "<f4"), ("log_sum_exp", "<f4")],
    ]
)


@dataclasses.dataclass(frozen=True)
class ClipTable:
    """The shown clips, sorted by URI, range and start. Of clips of one input with the same start, one is kept.

    Attributes:
      inputs: the rank of the input, see `VideoOrder`.
      sources: the number of the URI.
      clip_index, start_ms: as in the clips table.
      from_ms, until_ms: the part of the video for which the clip counts. Where clips overlap, each instant belongs to
        the clip whose middle is nearest.
      labels: the place of the top label in `label_names`; NO_LABEL if the clip has none.
      scores: of the top label; NaN if there is none.
      margins: between the two top scores; NaN if there are fewer than two.
      entropies, log_sum_exps: as in the clips table; they may be NaN.
      label_names: in alphabetical order.
    """

    inputs: Numbers
    sources: Numbers
    clip_index: npt.NDArray[np.int32]
    start_ms: Numbers
    from_ms: Numbers
    until_ms: Numbers
    labels: npt.NDArray[np.int32]
    scores: Scores
    margins: Scores
    entropies: Scores
    log_sum_exps: Scores
    label_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.inputs)

    @classmethod
    def read(cls, rows: ShownRows, order: VideoOrder, on_file: OnFile = lambda path: None) -> ClipTable:
        """Reads the clips table.

        Args:
          rows: the shown rows.
          order: the order of the inputs.
          on_file: called for each file that is read.

        Raises:
          StorageError: a file cannot be read.
        """
        parts = [np.empty(0, _ROW)]
        codes: dict[str | None, int] = {None: NO_LABEL}
        for batch, videos in rows.numbered("clips", [*_COPIED, "top_label", "labels"], on_file):
            part = np.empty(batch.num_rows, _ROW)
            part["input"] = order.ranks[videos]
            for name in _COPIED:
                part[name] = batch[name].to_numpy(zero_copy_only=False)  # null: NaN
            for name in ("start_ms", "end_ms"):
                part[name] = np.clip(part[name], -MAX_MS, MAX_MS)
            part["margin"] = _margins(batch["labels"])
            part["label"] = _codes(recognized(batch["top_label"]), codes)
            parts.append(part)
        found = np.concatenate(parts)
        parts.clear()
        return _sorted_table(found, codes, order)


def _sorted_table(rows: npt.NDArray[np.void], codes: dict[str | None, int], order: VideoOrder) -> ClipTable:
    places = np.lexsort((rows["clip_index"], rows["start_ms"], rows["input"]))
    inputs, starts = rows["input"][places], rows["start_ms"][places]
    is_new = np.ones(len(rows), bool)
    is_new[1:] = (inputs[1:] != inputs[:-1]) | (starts[1:] != starts[:-1])
    places, inputs, starts = places[is_new], inputs[is_new], starts[is_new]
    names = sorted(name for name in codes if name is not None)
    new_codes = np.full(len(codes), NO_LABEL, np.int32)  # the last one is that of NO_LABEL
    new_codes[[codes[name] for name in names]] = np.arange(len(names))
    from_ms, until_ms = _parts_of_videos(inputs, starts, rows["end_ms"][places])
    return ClipTable(
        inputs=inputs,
        sources=order.sources[inputs],
        clip_index=rows["clip_index"][places],
        start_ms=starts,
        from_ms=from_ms,
        until_ms=until_ms,
        labels=new_codes[rows["label"][places]],
        scores=rows["top_score"][places],
        margins=rows["margin"][places],
        entropies=rows["entropy"][places],
        log_sum_exps=rows["log_sum_exp"][places],
        label_names=tuple(names),
    )


def _parts_of_videos(inputs: Numbers, starts: Numbers, ends: Numbers) -> tuple[Numbers, Numbers]:
    """Returns the start and the end of the part for which each clip counts."""
    starts, ends = starts.copy(), np.maximum(starts, ends)
    overlaps = (inputs[1:] == inputs[:-1]) & (starts[1:] < ends[:-1])
    cuts = starts[1:] + (ends[:-1] - starts[1:]) // 2
    ends[:-1][overlaps] = cuts[overlaps]
    starts[1:][overlaps] = cuts[overlaps]
    return starts, np.maximum(starts, ends)


def _margins(labels: pa.ListArray) -> Scores:
    """Returns the difference of the first two scores of each row; NaN if there are fewer."""
    offsets = labels.offsets.to_numpy()
    scores = labels.values.field("score").to_numpy()
    (has_two,) = np.nonzero(np.diff(offsets) >= 2)
    found = np.full(len(labels), np.nan, np.float32)
    first = offsets[has_two]
    with np.errstate(invalid="ignore"):  # infinite scores
        found[has_two] = scores[first] - scores[first + 1]
    return found


def _codes(labels: pa.Array, codes: dict[str | None, int]) -> npt.NDArray[np.int32]:
    """Returns a number for each label, and adds the numbers of new labels to `codes`."""
    encoded = labels.dictionary_encode()
    numbers = [codes.setdefault(name, len(codes) - 1) for name in encoded.dictionary.to_pylist()]
    return np.array([*numbers, NO_LABEL], np.int32)[pc.fill_null(encoded.indices, len(numbers)).to_numpy()]
