"""The whole graph on one screen: what is wired to what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import apache_beam as beam
import pyarrow as pa

from pipeline.config import LabelingConfig
from transforms.classify_clips import ClassifyClips
from transforms.decode_clips import DecodeClips
from transforms.list_videos import ListVideos
from transforms.models.label_map import LabelMap
from transforms.plan_clips import PlanClips
from transforms.records import RunInfo
from transforms.schemas import TABLES, clip_row, error_row, video_row
from transforms.spool import SpoolConfig
from transforms.summarize_videos import SummarizeVideos
from transforms.write_results import WriteResults


def build_graph(
    pipeline: beam.Pipeline,
    config: LabelingConfig,
    labels: LabelMap,
    run: RunInfo,
    run_facts: Mapping[str, Any],
    schemas: Mapping[str, pa.Schema] = TABLES,
) -> beam.PCollection[dict[str, Any]]:
    """Adds the steps to `pipeline`; returns the run's summary, one element, there once the run is committed."""
    spool = SpoolConfig(config.spool_dir, config.spool_bytes)
    videos = pipeline | ListVideos(config.inputs, config.input_list, config.base_dir)
    plan = (
        videos
        | "SpreadVideos" >> beam.Reshuffle()
        | PlanClips(config.sampling, config.max_video_bytes, config.decoder_limits, spool)
    )

    # From here to the scores no pixel may cross a shuffle: nothing stands between DecodeClips and ClassifyClips.
    segments = plan.segments | "SpreadSegments" >> beam.Reshuffle()
    decoded = segments | DecodeClips(config.geometry, config.max_video_bytes, config.decoder_limits, spool)
    classified = decoded.clips | ClassifyClips(
        config.model,
        labels.labels,
        config.top_k,
        config.min_score,
        config.engine,
        config.num_threads,
        config.precision,
        config.max_batch_bytes,
        config.outputs,
        config.clip_frames,
    )

    failures = (plan.failures, decoded.failures, classified.failures) | "Failures" >> beam.Flatten()
    summaries = (videos, plan.planned, classified.scores, failures) | SummarizeVideos(
        labels.labels, config.top_k, config.min_score
    )
    tables = {
        "inputs": videos,
        "videos": summaries | "VideoRows" >> beam.Map(video_row, run),
        "clips": classified.scores | "ClipRows" >> beam.Map(clip_row),
        "errors": failures | "ErrorRows" >> beam.Map(error_row),
    }
    return tables | WriteResults(config.output, run.run_id, config.max_failure_ratio, run_facts, schemas)
