"""The whole graph on one screen: what is wired to what."""

from __future__ import annotations

from collections.abc import Mapping

import apache_beam as beam
import pyarrow as pa

from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.transforms.classifier_config import ClassifierConfig
from reelbeam.transforms.classify_clips import ClassifyClips
from reelbeam.transforms.decode_clips import DecodeClips, DecoderConfig
from reelbeam.transforms.keep_lock import KeepLock
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.output.lock.output_lock import LockTicket
from reelbeam.transforms.output.run_commit import CommitConfig, is_excused
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.output.run_document import LabelingKey, RunDocument, RunFacts
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.plan_clips import PlanClips, PlannerConfig
from reelbeam.transforms.records import RunInfo
from reelbeam.transforms.schemas import TABLES, clip_row, error_row, video_row
from reelbeam.transforms.selection.list_videos import ListVideos
from reelbeam.transforms.selection.parts import Part, ReadSelection, SelectionRecord, WriteSelection
from reelbeam.transforms.selection.sample import WriteSample
from reelbeam.transforms.selection.select_videos import Selection, SelectVideos
from reelbeam.transforms.storage.spool.folder import SpoolConfig
from reelbeam.transforms.summarize_videos import LabeledCollections, SummarizeVideos
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
) -> beam.PCollection[RunDocument]:
    """Adds the steps that label the selected videos of a run, or of one part of it.

    Returns:
      The run document, one element, after the commit.
    """
    if part is None:
        selection, ignored = select(pipeline, config, LabelingKey.of(run), run.decoder_version)
    else:
        selection = pipeline | ReadSelection(part)
        ignored = pipeline | "Ignored" >> beam.Create(list(part.ignored.items()), reshuffle=False)
    plan = (
        selection.videos
        | "SpreadVideos" >> beam.Reshuffle()
        | "KeepLockToPlan" >> KeepLock(lock)
        | PlanClips(planner_config(config))
    )

    # From here to the scores no pixel may cross a shuffle: nothing is between DecodeClips and ClassifyClips.
    segments = plan.segments | "SpreadSegments" >> beam.Reshuffle() | "KeepLockToDecode" >> KeepLock(lock)
    decoded = segments | DecodeClips(decoder_config(config))
    classified = decoded.clips | ClassifyClips(classifier_config(config, labels))

    failures = (plan.failures, decoded.failures, classified.failures) | "Failures" >> beam.Flatten()
    costs = (plan.costs, decoded.costs, classified.costs) | "Costs" >> beam.Flatten()
    labeled = LabeledCollections(selection.videos, plan.planned, classified.scores, failures)
    summaries = labeled | SummarizeVideos(labels=labels.labels, top_k=config.top_k, min_score=config.min_score)
    results = ResultCollections(
        videos=summaries | "VideoRows" >> beam.Map(video_row, run),
        clips=classified.scores | "ClipRows" >> beam.Map(clip_row, run),
        errors=failures | "ErrorRows" >> beam.Map(error_row, run),
        num_inputs=selection.num_inputs,
        outcomes=selection.outcomes,
        ignored=ignored,
        num_excused=summaries | "Excused" >> beam.Filter(is_excused) | beam.combiners.Count.Globally(),
        cost=costs | "SumCosts" >> beam.CombineGlobally(RunCost.total),
    )
    to_commit = CommitConfig(
        paths=RunPaths(config.output, run.run_id),
        facts=run_facts,
        max_failure_ratio=config.max_failure_ratio,
        lock=lock,
        num_known_good=part.num_known_good if part else 0,
    )
    return results | WriteResults(to_commit, schemas=schemas)


def planner_config(config: LabelingConfig) -> PlannerConfig:
    """Returns the configuration of PlanClips."""
    return PlannerConfig(
        sampling=config.sampling,
        max_video_bytes=config.max_video_bytes,
        limits=config.decoder_limits,
        spool=SpoolConfig(config.spool_dir, config.spool_bytes),
    )


def decoder_config(config: LabelingConfig) -> DecoderConfig:
    """Returns the configuration of DecodeClips."""
    return DecoderConfig(
        geometry=config.geometry,
        max_video_bytes=config.max_video_bytes,
        limits=config.decoder_limits,
        spool=SpoolConfig(config.spool_dir, config.spool_bytes),
    )


def classifier_config(config: LabelingConfig, labels: LabelMap) -> ClassifierConfig:
    """Returns the configuration of ClassifyClips."""
    return ClassifierConfig(
        model=config.model,
        labels=labels.labels,
        top_k=config.top_k,
        min_score=config.min_score,
        engine=config.engine,
        num_threads=config.num_threads,
        precision=config.precision,
        max_batch_bytes=config.max_batch_bytes,
        outputs=config.outputs,
        clip_frames=config.clip_frames,
        num_crops=config.geometry.num_crops,
    )
