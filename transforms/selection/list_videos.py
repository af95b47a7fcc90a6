"""ListVideos: patterns, folders and list files -> VideoRef, each video once; and what was left out."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from reelbeam.transforms import metrics, storage
from reelbeam.transforms.errors import MediaError
from reelbeam.transforms.inputs.expansion import expand_input
from reelbeam.transforms.inputs.list_files import read_input_list
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.selection.duplicates import Files, Mention, distinct
from reelbeam.transforms.selection.packing import Pack, bucket_of, unpack, video_of, video_row
from reelbeam.transforms.storage.ignored import FOLDERS

_IGNORED, _VIDEO = "ignored", "video"


class Listing(NamedTuple):
    """What ListVideos gives.

    Attributes:
      videos: VideoRef, one for each distinct input, in no order.
      ignored: (kind, count) of what folders hold besides videos, see `reelbeam.transforms.storage.ignored`.
    """

    videos: beam.PCollection[VideoRef]
    ignored: beam.PCollection[tuple[str, int]]


class ListVideos(beam.PTransform):
    """Lists the videos of a run.

    Input: the pipeline itself. Output: Listing.

    An input is the first of these that it can be: an existing file; a folder (searched in depth, links to folders
    included, for files with a video's extension); a pattern (`*`, `?`, `[…]`, and `**` for any depth); otherwise a
    file that is missing, which is passed on all the same: it ends as a failed row, not in silence. Rows of the input
    list are files, never folders or patterns. A video whose row would be the same (URI without its query, and range) is
    passed on once; where its metadata differ, the smallest wins, so that the choice does not depend on the order. So is
    a local file that links give several names, see `reelbeam.transforms.selection.duplicates`.

    Counters: videos_listed, duplicates_dropped, files_ignored, folders_ignored.

    Args:
      inputs: files, folders and patterns.
      input_list: a .txt, .csv, .jsonl or .parquet file, see `read_input_list`.
      base_dir: what relative local paths are relative to.
    """

    def __init__(self, inputs: Sequence[str], input_list: str | None = None, base_dir: str | None = None) -> None:
        super().__init__()
        self._inputs = list(inputs)
        self._lists = [input_list] if input_list else []
        self._base_dir = base_dir

    def expand(self, pipeline: beam.Pipeline) -> Listing:
        """Wires the step."""
        given = [(name, False) for name in self._inputs] + [(path, True) for path in self._lists]
        expanded = (
            pipeline
            | "Inputs" >> beam.Create(given, reshuffle=False)
            | "Expand" >> beam.FlatMapTuple(self._expand).with_outputs(_IGNORED, main=_VIDEO)
        )
        videos = (
            expanded[_VIDEO]
            | Pack()
            | beam.GroupByKey()
            | "KeepOne" >> beam.FlatMapTuple(_keep_one)
            | "ReadSizes" >> beam.Map(with_size).with_output_types(VideoRef)
        )
        return Listing(videos, expanded[_IGNORED] | "SumIgnored" >> beam.CombinePerKey(sum))

    def _expand(self, given: str, is_list: bool) -> Iterator[object]:
        # One step for both: a runner keeps what it flattens.
        files = Files()
        if is_list:
            for video in read_input_list(given, self._base_dir):
                yield _packed(files.mention(video, is_listed=True))
            return
        ignored: collections.Counter[str] = collections.Counter()
        for video in expand_input(given, self._base_dir, report=lambda kind: ignored.update([kind])):
            yield _packed(files.mention(video))
        for kind, number in ignored.items():
            metrics.count(metrics.FOLDERS_IGNORED if kind in FOLDERS else metrics.FILES_IGNORED, number)
            yield TaggedOutput(_IGNORED, (kind, number))


def _packed(mention: Mention) -> tuple[int, tuple[object, ...]]:
    """Returns the bucket in which all mentions of a file meet, and one of them as `Pack` takes it."""
    return bucket_of(mention.file), (mention.link_to, mention.is_listed, *video_row(mention.video))


def _unpacked(blocks: Iterable[bytes]) -> Iterator[Mention]:
    for link_to, is_listed, *row in unpack(blocks):
        yield Mention(link_to, is_listed, video_of(row))


def _keep_one(_bucket: int, blocks: Iterable[bytes]) -> Iterable[VideoRef]:
    mentions = list(_unpacked(blocks))
    kept = list(distinct(mentions))
    metrics.count(metrics.VIDEOS_LISTED, len(kept))
    metrics.count(metrics.DUPLICATES_DROPPED, len(mentions) - len(kept))
    return kept


def with_size(video: VideoRef) -> VideoRef:
    """Returns a video with size, version and time; as it is where the store does not tell them."""
    try:
        return storage.identified(video)
    except MediaError:  # the step that opens the file turns it into a row, see `storage.local_file`
        return video
