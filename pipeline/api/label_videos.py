"""LabelVideos: the names of videos -> their labels, in any pipeline."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Unpack

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from reelbeam.pipeline.api.options import LabelOptions
from reelbeam.pipeline.api.preparation import load_checked, prepare
from reelbeam.transforms import metrics, storage
from reelbeam.transforms.label_videos import LabelEach, LabelResults, LabelSelected
from reelbeam.transforms.labeling.config import LabelerConfig
from reelbeam.transforms.labeling.elements import named_video
from reelbeam.transforms.labeling.row_types import ClipRow, ErrorRow, VideoRow
from reelbeam.transforms.labeling.summary import summarize
from reelbeam.transforms.records import Failure, VideoRef, VideoSummary

_REJECTED = "rejected"

# Without it, Beam pickles rows, and other languages, such as that of SqlTransform, cannot read them.
for _row_type in (VideoRow, ClipRow, ErrorRow):
    beam.coders.registry.register_coder(_row_type, beam.coders.RowCoder)


class LabeledVideos(NamedTuple):
    """The output of LabelVideos.

    Attributes:
      videos: one VideoRow for each video: ok, partial or failed.
      clips: one ClipRow for each clip.
      errors: one ErrorRow for each failure.
    """

    videos: beam.PCollection[VideoRow]
    clips: beam.PCollection[ClipRow]
    errors: beam.PCollection[ErrorRow]


class LabelVideos(beam.PTransform):
    """Labels videos with a model.

        labeled = p | beam.Create(["a.mp4", "gs://bucket/b.mp4"]) | reelbeam.LabelVideos("a0-base", top_k=3)

    Input: URIs or paths; or dicts, named tuples, dataclasses or Rows with `video_uri` and optionally `start_seconds`
    and `end_seconds`. Further fields become the row's metadata. Output: LabeledVideos, whose rows have schemas.

    A bounded input in the global window may name a video several times; the video is labeled once. Long videos are
    spread over the workers. An unbounded input, or one in other windows, is labeled element by element: all rows of a
    video are output as soon as it is done, in the window and with the timestamp of its element; a long video is one
    unit of work. An element that names no video becomes a failed row with the code "invalid_input".

    Args:
      model: a catalog name (`reelbeam models` lists them), a URL, or a folder, local or in an object store.
      options: see `LabelOptions`. They have the names and the defaults of the flags of `reelbeam label`.

    Raises:
      TypeError: an option does not exist.
      ConfigError: an option is out of range, or options do not fit each other.
      ModelError: the model or its labels cannot be used. The model is fetched and loaded when the pipeline is built.
      RunError: a store does not respond now.
    """

    def __init__(self, model: str | os.PathLike[str], **options: Unpack[LabelOptions]) -> None:
        super().__init__()
        self._labeler = prepare(model, options, runs_here=False)
        self._engine: object = load_checked(self._labeler.config.classifier)  # shared with workers in this process
        self._base_dir = str(pathlib.Path.cwd())

    def __getstate__(self) -> dict[str, object]:
        return vars(self) | {"_engine": None}

    def expand(self, elements: beam.PCollection[object]) -> LabeledVideos:
        """Connects the steps."""
        named = elements | "NameVideos" >> beam.FlatMap(_named, self._base_dir).with_outputs(_REJECTED, main="videos")
        named["videos"].element_type = VideoRef
        labeled = named["videos"] | _Label(self._labeler.config, _is_batch(elements))
        rejected = named[_REJECTED]
        summaries = rejected | "SummarizeRejected" >> beam.MapTuple(_summary_of_rejected).with_output_types(
            VideoSummary
        )
        failures = rejected | "FailureOfRejected" >> beam.MapTuple(_failure_of_rejected).with_output_types(Failure)
        facts = self._labeler.facts
        return LabeledVideos(
            (labeled.summaries, summaries)
            | "Summaries" >> beam.Flatten()
            | "VideoRows" >> beam.Map(VideoRow.of, facts).with_output_types(VideoRow),
            labeled.scores | "ClipRows" >> beam.Map(ClipRow.of).with_output_types(ClipRow),
            (labeled.failures, failures)
            | "Failures" >> beam.Flatten()
            | "ErrorRows" >> beam.Map(ErrorRow.of).with_output_types(ErrorRow),
        )


class _Label(beam.PTransform):
    """VideoRef -> LabelResults, in the way that fits the input."""

    def __init__(self, config: LabelerConfig, is_batch: bool) -> None:
        super().__init__()
        self._config = config
        self._is_batch = is_batch

    def expand(self, videos: beam.PCollection[VideoRef]) -> LabelResults:
        if not self._is_batch:
            return videos | LabelEach(self._config)
        spread = (
            videos
            | "KeyVideos" >> beam.Map(lambda video: (video.key, video)).with_output_types(tuple[str, VideoRef])
            | "SpreadVideos" >> beam.GroupByKey()
            | "Distinct" >> beam.MapTuple(_distinct).with_output_types(VideoRef)
        )
        return spread | LabelSelected(self._config)


def _is_batch(elements: beam.PCollection[object]) -> bool:
    return bool(elements.is_bounded) and elements.windowing.is_default()


def _named(element: object, base_dir: str) -> Iterator[VideoRef | TaggedOutput]:
    found = named_video(element, base_dir)
    yield found.video if found.failure is None else TaggedOutput(_REJECTED, (found.video, found.failure))


def _distinct(_key: str, videos: Iterable[VideoRef]) -> VideoRef:
    """Returns one of the elements that name a video: one with metadata, and the same in every run."""
    return storage.with_known_size(min(videos, key=lambda video: (video.metadata == (), video.metadata)))


def _summary_of_rejected(video: VideoRef, failure: Failure) -> VideoSummary:
    metrics.count_broken(video.key)
    return summarize(video, [], 0, (), [failure])


def _failure_of_rejected(_video: VideoRef, failure: Failure) -> Failure:
    return failure
