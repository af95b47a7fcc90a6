"""One pass over the shown rows of the videos table: sums, failures, and a few numbers for each video."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reelbeam.transforms.output.report_content.content import Example, FailureGroup
from reelbeam.transforms.output.report_content.media_names import container_names, picture_sizes
from reelbeam.transforms.output.report_content.shares import Share
from reelbeam.transforms.output.report_content.shown_rows import NumberedRows, OnFile, ShownRows
from reelbeam.transforms.output.row_keys import seeded_hashes
from reelbeam.transforms.output.tables import recognized
from reelbeam.transforms.records.time_range import shown_input
from reelbeam.transforms.reference import REMEDIES
from reelbeam.transforms.schemas import RANGE

MAX_CODES = 20
"""The most error codes with a group of failures. The package has fewer, but rows may hold any texts."""

_NUM_EXAMPLES = 3
_COLUMNS = (
    *("video_uri", *RANGE, "uri_key", "run_id", "status", "top_label", "error_code", "error_message"),
    *("num_clips", "duration_ms", "size_bytes", "width", "height", "codec", "container"),
)
_OTHER_REMEDY = "see the message"


class Sums:
    """Numbers of videos and durations, by name."""

    def __init__(self) -> None:
        self.videos: collections.Counter[str] = collections.Counter()
        self.video_ms: collections.Counter[str] = collections.Counter()

    def add(self, names: pa.Array, durations: npt.NDArray[np.int64]) -> None:
        """Adds videos; those without a name are ignored."""
        table = pa.table({"name": names, "ms": durations})
        for row in table.group_by("name").aggregate([("ms", "sum"), ("ms", "count")]).to_pylist():
            if row["name"] is not None:
                self.videos[row["name"]] += row["ms_count"]
                self.video_ms[row["name"]] += row["ms_sum"]

    def shares(self) -> list[Share]:
        """Returns the parts of the corpus, in no order."""
        names = self.videos.keys() | self.video_ms.keys()
        return [Share(name, self.videos[name], self.video_ms[name]) for name in names]


@dataclasses.dataclass(frozen=True)
class VideoOrder:
    """The shown inputs in the order of their URIs and ranges. The place of an input in this order is its rank.

    Attributes:
      ranks: the rank of each input, by the number that `ShownRows` gives it.
      hashes: the hash of each input, `uri_key`, by rank.
      sources: the number of each input's URI among the different URIs, by rank: ranges of one video share it.
    """

    ranks: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]
    sources: npt.NDArray[np.int64]


class VideoFacts:
    """Sums over the shown rows of the videos table.

    Attributes:
      statuses, runs: the numbers of videos, by status and by run.
      num_nothing_recognized, num_clips, size_bytes: as in `content.Totals`. A file counts once, whatever ranges it has.
      labels, picture_sizes, codecs, containers: sums by name. For labels, only the numbers of videos are used.
      durations_ms: of each video whose duration is known, in no order.
      order: the order of the inputs.
    """

    def __init__(self, seed: int) -> None:
        self.statuses: collections.Counter[str] = collections.Counter()
        self.runs: collections.Counter[str] = collections.Counter()
        self.num_nothing_recognized = self.num_clips = self.size_bytes = 0
        self.labels, self.picture_sizes, self.codecs, self.containers = Sums(), Sums(), Sums(), Sums()
        self.durations_ms: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self.order = VideoOrder(np.empty(0, np.int64), np.empty(0, np.uint64), np.empty(0, np.int64))
        self._seed = seed
        self._failures: dict[str, _Failures] = collections.defaultdict(_Failures)

    @classmethod
    def read(cls, rows: ShownRows, seed: int, on_file: OnFile = lambda path: None) -> VideoFacts:
        """Reads the videos table.

        Args:
          rows: the shown rows.
          seed: the seed of the choice of examples.
          on_file: called for each file that is read.

        Raises:
          StorageError: a file cannot be read.
        """
        facts = cls(seed)
        kept = [facts.add(found) for found in rows.numbered("videos", _COLUMNS, on_file)]
        if kept:
            facts.set_order(pa.Table.from_batches(kept), rows.num_videos)
        return facts

    def failures(self) -> tuple[FailureGroup, ...]:
        """Returns the failures by code, the most frequent first; at most `MAX_CODES` of them."""
        groups = sorted(self._failures.items(), key=lambda entry: (-entry[1].videos, entry[0]))[:MAX_CODES]
        return tuple(
            FailureGroup(code, found.videos, REMEDIES.get(code, _OTHER_REMEDY), tuple(e for _, e in found.examples))
            for code, found in groups
        )

    @property
    def num_codes(self) -> int:
        """The number of different error codes."""
        return len(self._failures)

    def add(self, rows: NumberedRows) -> pa.RecordBatch:
        """Adds rows to the sums. Returns the columns that are needed for all rows at once."""
        batch = rows.batch
        self.statuses.update(_counts(batch["status"]))
        self.runs.update(_counts(batch["run_id"]))
        is_failed = pc.equal(batch["status"], "failed")
        labels = recognized(batch["top_label"])
        self.num_nothing_recognized += int(pc.sum(pc.and_(pc.invert(is_failed), pc.is_null(labels))).as_py() or 0)
        self.num_clips += pc.sum(batch["num_clips"]).as_py() or 0
        durations = pc.fill_null(batch["duration_ms"], 0).to_numpy()
        self.labels.add(labels, durations)
        self.picture_sizes.add(picture_sizes(batch["width"], batch["height"]), durations)
        self.codecs.add(batch["codec"], durations)
        self.containers.add(container_names(batch["container"]), durations)
        self._add_failures(batch)
        kept = batch.select(["video_uri", *RANGE, "uri_key", "duration_ms", "size_bytes"])
        return kept.append_column("number", pa.array(rows.videos))

    def _add_failures(self, batch: pa.RecordBatch) -> None:
        columns = ["video_uri", *RANGE, "uri_key", "error_code", "error_message"]
        failed = batch.select(columns).filter(pc.is_valid(batch["error_code"]))
        hashes = seeded_hashes(failed["uri_key"].to_numpy().view(np.uint64), self._seed)
        codes = failed["error_code"].dictionary_encode()
        places = codes.indices.to_numpy()
        order = np.lexsort((hashes, places))
        counts = np.bincount(places, minlength=len(codes.dictionary))
        rank_in_code = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        first = order[rank_in_code < _NUM_EXAMPLES]
        examples: dict[int, list[tuple[int, Example]]] = collections.defaultdict(list)
        rows = failed.take(pa.array(first)).to_pylist()
        for code, value, row in zip(places[first].tolist(), hashes[first].tolist(), rows, strict=True):
            name = shown_input(*(row[column] for column in ("video_uri", *RANGE)))
            examples[code].append((value, Example(name, row["error_message"] or "")))
        for number, code in enumerate(codes.dictionary.to_pylist()):
            self._failures[code].add(int(counts[number]), examples[number])

    def set_order(self, videos: pa.Table, num_videos: int) -> None:
        self.durations_ms = videos["duration_ms"].drop_null().to_numpy()
        keys = [(name, "ascending") for name in ("video_uri", *RANGE)]
        videos = videos.take(pc.sort_indices(videos, sort_keys=keys))
        uris = videos["video_uri"]
        is_new = np.ones(len(videos), bool)
        is_new[1:] = pc.not_equal(uris.slice(1), uris.slice(0, len(uris) - 1)).to_numpy()
        self.size_bytes = sum(pc.fill_null(videos["size_bytes"], 0).to_numpy()[is_new].tolist())
        ranks = np.zeros(num_videos, np.int64)
        ranks[videos["number"].to_numpy()] = np.arange(len(videos))
        self.order = VideoOrder(ranks, videos["uri_key"].to_numpy().view(np.uint64), np.cumsum(is_new) - 1)


class _Failures:
    def __init__(self) -> None:
        self.videos = 0
        self.examples: list[tuple[int, Example]] = []

    def add(self, videos: int, examples: list[tuple[int, Example]]) -> None:
        self.videos += videos
        found = [*self.examples, *examples]
        self.examples = sorted(found, key=lambda entry: (entry[0], entry[1].video_uri))[:_NUM_EXAMPLES]


def _counts(column: pa.Array) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(column).to_pylist()}


def find_inputs(rows: ShownRows, wanted: tuple[str, ...], on_file: OnFile) -> Iterator[tuple[str, int]]:
    """Yields the wanted URIs that are there, each with the number of an input; a URI with several ranges repeatedly."""
    names = pa.array(wanted, pa.string())
    for batch, numbers in rows.numbered("videos", ["video_uri"], on_file):
        (places,) = np.nonzero(pc.is_in(batch["video_uri"], names).to_numpy(zero_copy_only=False))
        for place in places.tolist():
            yield batch["video_uri"][place].as_py(), int(numbers[place])
