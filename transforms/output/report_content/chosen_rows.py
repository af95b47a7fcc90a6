"""The last pass over the tables: the complete rows of chosen clips, and the labels of all clips of chosen videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reelbeam.transforms.output.arrays import Places, Scores
from reelbeam.transforms.output.report_content.clip_table import NO_LABEL, ClipTable
from reelbeam.transforms.output.report_content.label_runs import VideoFailure
from reelbeam.transforms.output.report_content.shown_clips import ClipKey, ScoredLabel, ShownClip
from reelbeam.transforms.output.report_content.shown_rows import OnFile, ShownRows
from reelbeam.transforms.output.report_content.video_facts import VideoOrder
from reelbeam.transforms.schemas import RANGE, Row

NUM_LANES = 3
_VIDEO_COLUMNS = ("video_uri", *RANGE, "duration_ms", "content_version", "size_bytes", "error_code", "error_message")
CLIP_COLUMNS = (
    *("video_uri", *RANGE, "clip_index", "run_id", "start_ms", "end_ms", "labels"),
    *("entropy", "log_sum_exp", "num_frames", "num_real_frames"),
)
"""The columns of the clips table that `shown_clip` needs."""
_CLIP_BITS = 32


class InputFacts(NamedTuple):
    """Some columns of a row of the videos table."""

    video_uri: str
    range_start_ms: int | None
    range_end_ms: int | None
    duration_ms: int | None
    content_version: str
    size_bytes: int | None


class RankedLabels(NamedTuple):
    """The labels of one rank, such as the second ones, of all clips of a video, by time.

    Attributes:
      codes: the place in `names`, or NO_LABEL.
      scores: NaN if a clip has no label of this rank.
    """

    codes: npt.NDArray[np.int32]
    scores: Scores
    names: Sequence[str]


@dataclasses.dataclass(frozen=True)
class ChosenRows:
    """The rows of what the report shows.

    Attributes:
      inputs: the rows of the videos of chosen clips and of timelines, by the rank of the input.
      clips: the chosen clips, by the rank of the input and the index of the clip.
      failures: the errors of failed and of partial videos, by the rank of the input.
      tracks: for the inputs with timelines: the start, the index and the labels of their clips.
    """

    inputs: dict[int, InputFacts]
    clips: dict[tuple[int, int], ShownClip]
    failures: dict[int, VideoFailure]
    tracks: dict[int, pa.Table]

    def clip(self, clips: ClipTable, place: int) -> ShownClip:
        """Returns the clip at a place of the table."""
        return self.clips[int(clips.inputs[place]), int(clips.clip_index[place])]

    def ranked_labels(self, rank: int) -> list[RankedLabels]:
        """Returns the top, the second and the third labels of the clips of an input with a timeline.

        A rank that no clip has is left out, and so is a repeated clip, as in `ClipTable`.
        """
        track = self.tracks.get(rank)
        if track is None:
            return []
        places = np.lexsort((track["clip_index"].to_numpy(), track["start_ms"].to_numpy()))
        starts = track["start_ms"].to_numpy()[places]
        is_new = np.ones(len(places), bool)
        is_new[1:] = starts[1:] != starts[:-1]
        labels = track["labels"].combine_chunks().take(pa.array(places[is_new]))
        lanes = [_of_rank(labels, number) for number in range(NUM_LANES)]
        return [lane for number, lane in enumerate(lanes) if number == 0 or (lane.codes != NO_LABEL).any()]


def read_chosen(
    rows: ShownRows,
    order: VideoOrder,
    clips: ClipTable,
    chosen: Places,
    timelines: Iterable[int],
    on_file: OnFile = lambda path: None,
) -> ChosenRows:
    """Reads the rows of chosen clips and videos.

    Args:
      rows: the shown rows.
      order: the order of the inputs.
      clips: the clips.
      chosen: the places of the chosen clips in `clips`.
      timelines: the ranks of the inputs with timelines.
      on_file: called for each file that is read.

    Raises:
      StorageError: a file cannot be read.
    """
    with_timeline = np.array(sorted(timelines), np.int64)
    inputs: dict[int, InputFacts] = {}
    failures: dict[int, VideoFailure] = {}
    for batch, numbers in rows.numbered("videos", _VIDEO_COLUMNS, on_file):
        ranks = order.ranks[numbers]
        found = np.isin(ranks, np.union1d(clips.inputs[chosen], with_timeline))
        for rank, row in zip(ranks[found].tolist(), batch.filter(pa.array(found)).to_pylist(), strict=True):
            code, message = row.pop("error_code"), row.pop("error_message")
            inputs[rank] = InputFacts(**row)
            if code is not None:
                failures[rank] = VideoFailure(code, message or "")
    keys = _keys(clips.inputs[chosen], clips.clip_index[chosen])
    shown: dict[tuple[int, int], ShownClip] = {}
    parts: dict[int, list[pa.RecordBatch]] = {}
    for batch, numbers in rows.numbered("clips", CLIP_COLUMNS, on_file):
        ranks = order.ranks[numbers]
        found = np.isin(_keys(ranks, batch["clip_index"].to_numpy()), keys)
        for rank, row in zip(ranks[found].tolist(), batch.filter(pa.array(found)).to_pylist(), strict=True):
            shown.setdefault((rank, row["clip_index"]), shown_clip(row, inputs[rank]))
        for rank in np.intersect1d(ranks, with_timeline).tolist():
            mine = batch.select(["start_ms", "clip_index", "labels"]).filter(pa.array(ranks == rank))
            parts.setdefault(rank, []).append(mine)
    return ChosenRows(inputs, shown, failures, {rank: pa.Table.from_batches(found) for rank, found in parts.items()})


def _keys(ranks: Places, clip_index: npt.NDArray[np.int32]) -> Places:
    return (ranks << _CLIP_BITS) + clip_index


def shown_clip(row: Row, video: InputFacts) -> ShownClip:
    """Returns a clip from its row, which has `CLIP_COLUMNS`, and from that of its video."""
    return ShownClip(
        key=ClipKey(*(row[name] for name in ClipKey._fields)),
        labels=tuple(ScoredLabel(entry["label"], entry["score"]) for entry in row["labels"]),
        content_version=video.content_version,
        size_bytes=video.size_bytes,
        **{
            name: row[name]
            for name in ("start_ms", "end_ms", "entropy", "log_sum_exp", "num_frames", "num_real_frames")
        },
    )


def inputs_of(rows: ShownRows, uris: Collection[str], on_file: OnFile = lambda path: None) -> dict[int, InputFacts]:
    """Returns the rows of some videos, and of ranges of these, by number."""
    wanted = pa.array(sorted(uris), pa.string())
    found: dict[int, InputFacts] = {}
    for batch, numbers in rows.numbered("videos", InputFacts._fields, on_file):
        is_wanted = pc.is_in(batch["video_uri"], wanted)
        chosen = numbers[is_wanted.to_numpy(zero_copy_only=False)].tolist()
        found |= zip(chosen, (InputFacts(**row) for row in batch.filter(is_wanted).to_pylist()), strict=True)
    return found


def surest_clips(
    rows: ShownRows, inputs: Mapping[int, InputFacts], on_file: OnFile = lambda path: None
) -> dict[int, ShownClip]:
    """Returns the clip with the highest score of each input, by number. An input without clips has none."""
    wanted = np.array(list(inputs), np.int64)
    best: dict[int, ShownClip] = {}
    for batch, numbers in rows.numbered("clips", CLIP_COLUMNS, on_file):
        is_wanted = np.isin(numbers, wanted)
        found = batch.filter(pa.array(is_wanted)).to_pylist()
        for number, row in zip(numbers[is_wanted].tolist(), found, strict=True):
            clip = shown_clip(row, inputs[number])
            if number not in best or _sureness(clip) > _sureness(best[number]):
                best[number] = clip
    return best


def _sureness(clip: ShownClip) -> tuple[float, int]:
    return max((each.score for each in clip.labels), default=0.0), -clip.key.clip_index


def _of_rank(labels: pa.ListArray, rank: int) -> RankedLabels:
    offsets = labels.offsets.to_numpy()
    has_rank = np.diff(offsets) > rank
    places = pa.array(offsets[:-1][has_rank] + rank)
    names = labels.values.field("label").take(places).dictionary_encode()
    codes = np.full(len(labels), NO_LABEL, np.int32)
    codes[has_rank] = names.indices.to_numpy()
    scores = np.full(len(labels), np.nan, np.float32)
    scores[has_rank] = labels.values.field("score").take(places).to_numpy()
    return RankedLabels(codes, scores, names.dictionary.to_pylist())
