"""WriteSelection and ReadSelection: the selected videos on disk, in parts that are labeled one after the other.

A backfill of a million videos is not one job with one commit. The videos are listed and compared with the ledger once.
The selected ones are written to disk in parts of a few thousand videos, and each part is a run with its own commit. If
a backfill is killed in its tenth hour, only the current part is lost. The next start lists again, finds the committed
parts in the ledger, and labels the rest. It needs no other state, so its parts may differ.

Alternatives: parts by `--shard` would list everything once per part; files that a later attempt reads would have to be
trusted. A part is checked and committed by the same code as any run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from reelbeam.transforms import metrics, storage
from reelbeam.transforms.errors import ReconciliationError
from reelbeam.transforms.output.documents import Count, read_document, typed
from reelbeam.transforms.output.ledger import SKIPPED
from reelbeam.transforms.output.run_files import RunPaths, to_line, write_atomically, write_parquet
from reelbeam.transforms.records import VideoRef, stable_hash
from reelbeam.transforms.records.time_range import TimeRange
from reelbeam.transforms.schemas import Row
from reelbeam.transforms.selection.packing import Pack, PackVideos, VideoRow, unpack_videos, video_row
from reelbeam.transforms.selection.select_videos import Selection
from reelbeam.transforms.wording import counted

_SCHEMA = pa.schema(
    [
        pa.field("video_uri", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64()),
        pa.field("content_version", pa.string(), nullable=False),
        pa.field("metadata", pa.map_(pa.string(), pa.string()), nullable=False),
        pa.field("attempt", pa.int32(), nullable=False),
        pa.field("modified_seconds", pa.float64()),
        pa.field("time_range", pa.list_(pa.string()), nullable=False),
        pa.field("is_guess", pa.bool_(), nullable=False),
    ]
)


class Part(NamedTuple):
    """One part of a selection.

    Attributes:
      path: of its file; None for the part of a selection without videos.
      num_inputs: its own videos, and in the first part also all skipped ones.
      outcomes: number of selected and skipped videos by reason. The first part has those of all parts.
      num_known_good: number of videos that earlier parts have labeled or skipped as labeled.
      ignored: number of files and folders that the listing ignored, by kind. The first part has all of them.
    """

    path: str | None
    num_inputs: int
    outcomes: Mapping[str, int]
    num_known_good: int = 0
    ignored: Mapping[str, int] = {}

    @property
    def num_videos(self) -> int:
        """Number of videos to label."""
        return self.num_inputs - sum(n for reason, n in self.outcomes.items() if reason in SKIPPED)


@dataclasses.dataclass(frozen=True)
class SelectionRecord:
    """What `WriteSelection` writes in addition to the parts.

    Attributes:
      parts: index of the part, and its number of videos.
      outcomes: number of selected and skipped inputs by reason.
      ignored: number of files and folders that the listing ignored, by kind.
    """

    num_inputs: Count
    parts: tuple[tuple[Count, Count], ...]
    outcomes: Mapping[str, Count]
    ignored: Mapping[str, Count]


class WriteSelection(beam.PTransform):
    """Writes the selected videos.

    Input: `Selection`. Output: a PCollection of one `SelectionRecord`, its parts in a fixed order. If no video is
    selected, there is no part and no file.

    The files are in the run's staging folder, and removed with it. They hold URIs as they were given: a signed URL
    cannot be read without its query.

    Args:
      paths: of the run.
      videos_per_part: approximate number of videos of a part; a hash assigns videos to parts.
      ignored: (kind, count) of the files that the listing ignored, see `reelbeam.transforms.storage.ignored`; None if
        not known.
    """

    def __init__(
        self, *, paths: RunPaths, videos_per_part: int, ignored: beam.PCollection[tuple[str, int]] | None = None
    ) -> None:
        super().__init__()
        self._paths = paths
        self._videos_per_part = videos_per_part
        self._ignored = {} if ignored is None else beam.pvalue.AsDict(ignored)

    def expand(self, selection: Selection) -> beam.PCollection[SelectionRecord]:
        """Connects the step."""
        videos_per_part = self._videos_per_part
        num_parts = (
            selection.videos
            | "CountSelected" >> beam.combiners.Count.Globally()
            | "CountParts" >> beam.Map(lambda n: max(1, -(-n // videos_per_part)))
        )
        written = (
            selection.videos
            | "PackSelected" >> PackVideos()  # a runner holds them until they are counted
            | "KeyByPart" >> beam.FlatMap(_key_by_part, beam.pvalue.AsSingleton(num_parts))
            | "PackParts" >> Pack()
            | "GroupPart" >> beam.GroupByKey()
            | "WritePart" >> beam.Map(_write_part, self._paths)
        )
        outcomes = beam.pvalue.AsDict(selection.outcomes)
        return (
            selection.num_inputs
            | "Selected" >> beam.Map(_record, beam.pvalue.AsDict(written), outcomes, self._ignored)
            | "KeepSelection" >> beam.Map(_keep_selection, self._paths)
        )


class ReadSelection(beam.PTransform):
    """Reads one part of a selection. Input: the pipeline itself. Output: `Selection`.

    Counter: videos_listed.
    """

    def __init__(self, part: Part) -> None:
        super().__init__()
        self._part = part

    def expand(self, pipeline: beam.Pipeline) -> Selection:
        """Connects the step."""
        paths = [] if self._part.path is None else [self._part.path]
        return Selection(
            pipeline
            | "Part" >> beam.Create(paths, reshuffle=False)
            | "ReadPart" >> beam.FlatMap(read_part).with_output_types(VideoRef),
            pipeline | "NumInputs" >> beam.Create([self._part.num_inputs], reshuffle=False),
            pipeline | "Outcomes" >> beam.Create(list(self._part.outcomes.items()), reshuffle=False),
        )


def read_selection(paths: RunPaths) -> SelectionRecord:
    """Returns the record that `WriteSelection` wrote. Raises StorageError if it cannot be read."""
    uri = selection_path(paths)
    return typed(SelectionRecord, uri, read_document(uri))


def to_parts(paths: RunPaths, selection: SelectionRecord) -> list[Part]:
    """Returns the parts of a selection."""
    outcomes, ignored = selection.outcomes, selection.ignored
    num_skipped = sum(n for reason, n in outcomes.items() if reason in SKIPPED)
    parts = [Part(selected_path(paths, part), num_videos, {}) for part, num_videos in selection.parts]
    if not parts:
        return [Part(None, num_skipped, outcomes, ignored=ignored)]
    first = parts[0]._replace(num_inputs=parts[0].num_inputs + num_skipped, outcomes=outcomes, ignored=ignored)
    return [first, *parts[1:]]


def selected_path(paths: RunPaths, part: int) -> str:
    """Returns the path of a part."""
    return f"{paths.staging}/selected/part-{part:05d}.parquet.staged"


def selection_path(paths: RunPaths) -> str:
    """Returns the path of the record of a selection."""
    return f"{paths.staging}/selected/selection.json"


def read_part(path: str) -> Iterator[VideoRef]:
    """Yields the videos of a part."""
    with storage.storage_errors(path), storage.open_inside(path) as file:
        for batch in pq.ParquetFile(file).iter_batches():
            for row in batch.to_pylist():
                metrics.count(metrics.VIDEOS_LISTED)
                time_range = TimeRange.from_texts(row["time_range"])
                yield VideoRef(**row | {"metadata": tuple(row["metadata"]), "time_range": time_range})


def _write_part(entry: tuple[int, Iterable[bytes]], paths: RunPaths) -> tuple[int, int]:
    part, blocks = entry
    rows = sorted(map(_to_row, unpack_videos(blocks)), key=lambda row: (row["video_uri"], str(row["time_range"])))
    table = pa.Table.from_pylist(rows, _SCHEMA)
    write_atomically(selected_path(paths, part), lambda sink: write_parquet(table, sink))
    return part, table.num_rows


def _keep_selection(selection: SelectionRecord, paths: RunPaths) -> SelectionRecord:
    write_atomically(selection_path(paths), lambda sink: sink.write(to_line(selection)))
    return selection


def _to_row(video: VideoRef) -> Row:
    row = {name: getattr(video, name) for name in _SCHEMA.names}
    return row | {"metadata": list(video.metadata), "time_range": video.time_range.to_texts()}


def _key_by_part(entry: tuple[int, bytes], num_parts: int) -> Iterator[tuple[int, VideoRow]]:
    for video in unpack_videos(entry[1:]):
        yield stable_hash(video.key, "part") % num_parts, video_row(video)


def _record(
    num_inputs: int, parts: Mapping[int, int], outcomes: Mapping[str, int], ignored: Mapping[str, int]
) -> SelectionRecord:
    num_skipped = sum(n for reason, n in outcomes.items() if reason in SKIPPED)
    if num_inputs != num_skipped + sum(parts.values()):
        raise ReconciliationError(
            f"{counted(num_inputs, 'input')}, but {num_skipped} skipped and {sum(parts.values())} selected"
        )
    return SelectionRecord(num_inputs, tuple(sorted(parts.items())), dict(outcomes), dict(ignored))
