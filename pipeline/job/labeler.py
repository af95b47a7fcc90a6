"""From settings to the configuration of the steps that label videos."""

from __future__ import annotations

from reelbeam.pipeline.settings.config import LabelerSettings
from reelbeam.transforms.labeling.config import DecoderConfig, LabelerConfig, PlannerConfig
from reelbeam.transforms.models.classifier_config import ClassifierConfig
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.storage.spool.folder import SpoolConfig


def labeler_config(settings: LabelerSettings, labels: LabelMap) -> LabelerConfig:
    """Returns the configuration of the steps that label videos.

    Args:
      settings: of the run, or of a pipeline that labels videos.
      labels: the classes of the model.
    """
    spool = SpoolConfig(settings.spool_dir, settings.spool_bytes)
    most, limits = settings.max_video_bytes, settings.decoder_limits
    return LabelerConfig(
        planner=PlannerConfig(sampling=settings.sampling, max_video_bytes=most, limits=limits, spool=spool),
        decoder=DecoderConfig(geometry=settings.geometry, max_video_bytes=most, limits=limits, spool=spool),
        classifier=ClassifierConfig(
            model=settings.model,
            labels=labels.labels,
            top_k=settings.top_k,
            min_score=settings.min_score,
            engine=settings.engine,
            num_threads=settings.num_threads,
            precision=settings.precision,
            max_batch_bytes=settings.max_batch_bytes,
            outputs=settings.outputs,
            clip_frames=settings.clip_frames,
            num_crops=settings.geometry.num_crops,
        ),
    )
