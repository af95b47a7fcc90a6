"""ListVideos: patterns, folders and list files -> entries of videos, and counts of the files that are not videos."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from reelbeam.transforms import metrics
from reelbeam.transforms.inputs.expansion import expand_input
from reelbeam.transforms.inputs.list_files import read_input_list
from reelbeam.transforms.selection.duplicates import InputEntry, LinkResolver
from reelbeam.transforms.storage.ignored import FOLDERS

_IGNORED, _ENTRY = "ignored", "entry"


class Listing(NamedTuple):
    """The output of ListVideos.

    Attributes:
      entries: InputEntry, one for each occurrence of a video, in no order.
      ignored: (kind, count) of other files in folders, see `reelbeam.transforms.storage.ignored`.
    """

    entries: beam.PCollection[InputEntry]
    ignored: beam.PCollection[tuple[str, int]]


class ListVideos(beam.PTransform):
    """Lists the videos of a run.

    Input: the pipeline itself. Output: Listing. `SelectVideos` removes the duplicates.

    An input is the first of these that it can be: an existing file; a folder (searched in depth, including links to
    folders, for files with a video extension); a pattern (`*`, `?`, `[…]`, and `**` for any depth); otherwise a
    missing file, which is passed on so that it ends as a failed row. Rows of the input list are files, never folders or
    patterns.

    Counters: files_ignored, folders_ignored.

    Args:
      inputs: files, folders and patterns.
      input_list: a .txt, .csv, .jsonl or .parquet file, see `read_input_list`.
      base_dir: the folder that relative local paths are relative to.
    """

    def __init__(
        self, *, inputs: Sequence[str] = (), input_list: str | None = None, base_dir: str | None = None
    ) -> None:
        super().__init__()
        self._inputs = list(inputs)
        self._lists = [input_list] if input_list else []
        self._base_dir = base_dir

    def expand(self, pipeline: beam.Pipeline) -> Listing:
        """Connects the step."""
        given = [(name, False) for name in self._inputs] + [(path, True) for path in self._lists]
        expanded = (
            pipeline
            | "Inputs" >> beam.Create(given, reshuffle=False)
            # One step for both, because a runner materializes what it flattens.
            | "Expand" >> beam.FlatMapTuple(self._expand).with_outputs(_IGNORED, main=_ENTRY)
        )
        return Listing(expanded[_ENTRY], expanded[_IGNORED] | "SumIgnored" >> beam.CombinePerKey(sum))

    def _expand(self, given: str, is_list: bool) -> Iterator[InputEntry | TaggedOutput]:
        links = LinkResolver()
        if is_list:
            for video in read_input_list(given, self._base_dir):
                yield links.entry(video, from_list=True)
            return
        ignored: collections.Counter[str] = collections.Counter()
        for video in expand_input(given, self._base_dir, report=lambda kind: ignored.update([kind])):
            yield links.entry(video)
        for kind, number in ignored.items():
            metrics.count(metrics.FOLDERS_IGNORED if kind in FOLDERS else metrics.FILES_IGNORED, number)
            yield TaggedOutput(_IGNORED, (kind, number))
