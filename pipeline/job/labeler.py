"""From settings to what the steps that label videos need: their configuration, and the facts in their rows."""

from __future__ import annotations

import pathlib

from reelbeam.pipeline.settings.config import LabelerSettings
from reelbeam.transforms.labeling.config import DecoderConfig, LabelerConfig, PlannerConfig
from reelbeam.transforms.media.decoding.probe import decoder_version
from reelbeam.transforms.models.classifier_config import ClassifierConfig
from reelbeam.transforms.models.output_activation import output_activation
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.models.registry.manifest import content_hash
from reelbeam.transforms.records import LabelerFacts
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.storage.spool.folder import SpoolConfig


def labeler_config(settings: LabelerSettings, labels: LabelMap, in_place: bool = True) -> LabelerConfig:
    """Returns the configuration of the steps that label videos.

    Args:
      settings: of the run, or of a pipeline that labels videos.
      labels: the classes of the model.
      in_place: whether a short video is decoded where it was planned, see `PlannerConfig`.
    """
    return LabelerConfig(
        planner=planner_config(settings, in_place),
        decoder=decoder_config(settings),
        classifier=ClassifierConfig(
            model=settings.model,
            labels=labels.labels,
            kept=settings.label_filter,
            engine=settings.engine,
            num_threads=settings.num_threads,
            precision=settings.precision,
            max_batch_bytes=settings.max_batch_bytes,
            outputs=settings.outputs,
            clip_frames=settings.clip_frames,
            num_crops=settings.geometry.num_crops,
        ),
    )


def planner_config(settings: LabelerSettings, in_place: bool = True) -> PlannerConfig:
    """Returns the configuration of planning; for `in_place`, see `PlannerConfig`."""
    return PlannerConfig(
        sampling=settings.sampling,
        max_video_bytes=settings.max_video_bytes,
        limits=settings.decoder_limits,
        spool=SpoolConfig(settings.spool_dir, settings.spool_bytes),
        in_place=in_place,
    )


def decoder_config(settings: LabelerSettings) -> DecoderConfig:
    """Returns the configuration of decoding."""
    return DecoderConfig(
        geometry=settings.geometry,
        max_video_bytes=settings.max_video_bytes,
        limits=settings.decoder_limits,
        spool=SpoolConfig(settings.spool_dir, settings.spool_bytes),
    )


def labeler_facts(settings: LabelerSettings, folder: pathlib.Path, labels: LabelMap) -> LabelerFacts:
    """Returns the facts in the rows of labeled videos.

    Args:
      settings: as for `labeler_config`, with the engine and the kind of the model.
      folder: the files of the model.
      labels: the classes of the model.
    """
    model = settings.model
    return LabelerFacts(
        model=without_query(model.name),
        model_fingerprint=content_hash(folder),
        label_map_fingerprint=labels.sha256,
        sampling_fingerprint=settings.sampling_fingerprint,
        engine=settings.engine,
        precision=settings.precision,
        decoder_version=decoder_version(),
        output_activation=output_activation(model, folder),
    )
