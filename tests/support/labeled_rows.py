"""The rows of LabelVideos as lists: each pickled into a file by the workers, because a runner returns no elements."""

from __future__ import annotations

import pathlib
import pickle
import uuid
from collections.abc import Iterable
from typing import Any, NamedTuple

import apache_beam as beam
from local_pipeline import LocalPipeline

import reelbeam

KEY = ("video_uri", "range_start_ms", "range_end_ms")


class Rows(NamedTuple):
    """The rows of a pipeline, in the order of their keys."""

    videos: list[reelbeam.VideoRow]
    clips: list[reelbeam.ClipRow]
    errors: list[reelbeam.ErrorRow]


class Sink:
    """A folder for the elements of PCollections."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder

    def collect(self, name: str, elements: beam.PCollection[Any]) -> None:
        """Writes the elements when the pipeline runs."""
        folder = self._folder / name
        folder.mkdir(parents=True)
        elements | f"Collect {name}" >> beam.Map(_write, str(folder))

    def read(self, name: str) -> list[Any]:
        """Returns the elements of a finished pipeline."""
        found = [pickle.loads(path.read_bytes()) for path in (self._folder / name).iterdir()]
        return sorted(found, key=repr)

    def collect_rows(self, labeled: reelbeam.LabeledVideos, name: str = "rows") -> None:
        """Collects the rows of all three outputs."""
        for table, elements in labeled._asdict().items():
            self.collect(f"{name} {table}", elements)

    def rows(self, name: str = "rows") -> Rows:
        """Returns what `collect_rows` has collected."""
        return Rows(*(self.read(f"{name} {table}") for table in Rows._fields))


def _write(element: Any, folder: str) -> None:
    pathlib.Path(folder, uuid.uuid4().hex).write_bytes(pickle.dumps(element))


def label(folder: pathlib.Path, elements: Iterable[object], model: str = "demo", **options: Any) -> Rows:
    """Returns the rows of elements, on the runner that the product uses locally."""
    sink = Sink(folder)
    with LocalPipeline() as pipeline:
        sink.collect_rows(pipeline | beam.Create(list(elements)) | reelbeam.LabelVideos(model, **options))
    return sink.rows()
