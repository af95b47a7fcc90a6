"""The whole graph on one screen: what is wired to what."""

from __future__ import annotations

from collections.abc import Mapping

import apache_beam as beam
import pyarrow as pa

from reelbeam.pipeline.costs.planned import planned_cost_of_clip
from reelbeam.pipeline.job.labeler import labeler_config
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.transforms.label_videos import LabelSelected
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.output.lock.output_lock import LockTicket
from reelbeam.transforms.output.run_commit import CommitConfig, is_excused
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.output.run_document import LabelingKey, RunDocument, RunFacts
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.records import RunInfo
from reelbeam.transforms.schemas import TABLES, clip_row, error_row, video_row
from reelbeam.transforms.selection.list_videos import ListVideos
from reelbeam.transforms.selection.parts import Part, ReadSelection, SelectionRecord, WriteSelection
from reelbeam.transforms.selection.sample import WriteSample
from reelbeam.transforms.selection.select_videos import Selection, SelectVideos
from reelbeam.transforms.write_results import ResultCollections, WriteResults


def select(
    pipeline: beam.Pipeline, config: LabelingConfig, key: LabelingKey | None, decoder_version: str
) -> tuple[Selection, beam.PCollection[tuple[str, int]]]:
    """Adds the steps that select the videos to label.

    Args:
      pipeline: to add to.
      config: of the run.
      key: the labeling key of the run; None if the output has no rows.
      decoder_version: of the run.

    Returns:
      the selection, and (kind, count) of the files that the listing ignored.
    """
    listing = pipeline | ListVideos(inputs=config.inputs, input_list=config.input_list, base_dir=config.base_dir)
    selection = listing.entries | SelectVideos(
        output=config.output,
        key=key,
        decoder_version=decoder_version,
        rules=config.skip_rules,
        options=config.row_options,
    )
    return selection, listing.ignored


def build_selection(
    pipeline: beam.Pipeline, config: LabelingConfig, run: RunInfo, videos_per_part: int
) -> beam.PCollection[SelectionRecord]:
    """Makes `pipeline` write the selected videos in parts; returns the record of the selection, one element."""
    selection, ignored = select(pipeline, config, LabelingKey.of(run), run.decoder_version)
    paths = RunPaths(config.output, run.run_id)
    return selection | WriteSelection(paths=paths, videos_per_part=videos_per_part, ignored=ignored)


def build_sample(
    pipeline: beam.Pipeline, config: LabelingConfig, key: LabelingKey | None, decoder_version: str, size: int, path: str
) -> None:
    """Makes `pipeline` select as a run does, and write counts and a sample of the selected videos.

    Args:
      pipeline: to add to.
      config, key, decoder_version: as for `select`.
      size: of the sample, at most.
      path: of the file, on local disk.
    """
    selection, ignored = select(pipeline, config, key, decoder_version)
    (selection, ignored) | WriteSample(size=size, path=path)


def build_graph(
    pipeline: beam.Pipeline,
    config: LabelingConfig,
    *,
    labels: LabelMap,
    run: RunInfo,
    run_facts: RunFacts,
    schemas: Mapping[str, pa.Schema] = TABLES,
    lock: LockTicket | None = None,
    part: Part | None = None,
    in_place: bool = True,
) -> beam.PCollection[RunDocument]:
    """Adds the steps that label the selected videos of a run, or of one part of it.

    Args:
      pipeline: to add to.
      config, labels, run, run_facts, schemas: the run.
      lock: what the commit requires of the output's lock.
      part: the part of the selection; None: the job selects and labels all videos.
      in_place: whether a short video is decoded where it was planned, see `PlannerConfig`.

    Returns:
      The run document, one element, after the commit.
    """
    if part is None:
        selection, ignored = select(pipeline, config, LabelingKey.of(run), run.decoder_version)
    else:
        selection = pipeline | ReadSelection(part)
        ignored = pipeline | "Ignored" >> beam.Create(list(part.ignored.items()), reshuffle=False)
    spread = selection.videos | "SpreadVideos" >> beam.Reshuffle()
    labeled = spread | LabelSelected(labeler_config(config, labels, in_place), lock=lock)
    results = ResultCollections(
        videos=labeled.summaries | "VideoRows" >> beam.Map(video_row, run),
        clips=labeled.scores | "ClipRows" >> beam.Map(clip_row, run),
        errors=labeled.failures | "ErrorRows" >> beam.Map(error_row, run),
        num_inputs=selection.num_inputs,
        outcomes=selection.outcomes,
        ignored=ignored,
        num_excused=labeled.summaries | "Excused" >> beam.Filter(is_excused) | beam.combiners.Count.Globally(),
        cost=labeled.costs | "SumCosts" >> beam.CombineGlobally(RunCost.total),
    )
    to_commit = CommitConfig(
        paths=RunPaths(config.output, run.run_id),
        facts=run_facts,
        max_failure_ratio=config.max_failure_ratio,
        lock=lock,
        num_known_good=part.num_known_good if part else 0,
        planned_cost_of_clip=planned_cost_of_clip(config),
    )
    return results | WriteResults(to_commit, schemas=schemas)
