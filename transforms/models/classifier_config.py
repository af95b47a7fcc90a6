"""The configuration of ClassifyClips, and the sizes of its batches."""

from __future__ import annotations

import dataclasses

from reelbeam.transforms.models.batches import MAX_BATCH_BYTES
from reelbeam.transforms.models.engine import EngineName, Precision
from reelbeam.transforms.models.label_filter import LabelFilter
from reelbeam.transforms.models.registry.catalog import ModelSpec

CPU_BATCH_BYTES = 1 << 20
"""The limit of a batch's pixels for OpenVINO, which runs the clips of a batch one after the other. Larger batches save
nothing (`benchmarks.inference --batches`: 0.14 CPU-seconds a clip of A0 in batches of 1, 2, 4 and 8, but 30 MB more).
Small clips share a batch, which spreads Beam's own cost."""

MAX_BATCH_CLIPS = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """The configuration of ClassifyClips.

    Attributes:
      model: the model.
      labels: the model's classes, [C], by class id.
      kept: which labels a row keeps.
      engine: the engine that runs the model.
      num_threads: the number of threads of the engine; None: the number of cores of the machine.
      precision: the engine's arithmetic precision.
      max_batch_bytes: the maximum size of a batch in bytes of pixels; a single clip may be larger.
      outputs: what is kept of a clip in addition to its scores: "logits", "embedding".
      clip_frames: the maximum number of frames of a clip, including the warm-up; None: as in the model's preset.
      num_crops: the number of crops of a picture. The model gets each of them as a clip.
    """

    model: ModelSpec
    labels: tuple[str, ...]
    kept: LabelFilter = LabelFilter()
    engine: EngineName = "auto"
    num_threads: int | None = None
    precision: Precision = "float32"
    max_batch_bytes: int = MAX_BATCH_BYTES
    outputs: tuple[str, ...] = ()
    clip_frames: int | None = None
    num_crops: int = 1

    @property
    def max_batch_clips(self) -> int:
        """The maximum number of clips of a batch, each with all its crops."""
        return max(1, self.max_batch_crops // self.num_crops)

    @property
    def max_batch_crops(self) -> int:
        """The maximum number of crops in a call of the engine."""
        on_cpu = self.engine == "openvino"
        batch_bytes = min(self.max_batch_bytes, CPU_BATCH_BYTES) if on_cpu else self.max_batch_bytes
        crop_bytes = (self.clip_frames or self.model.preset.num_frames) * self.model.preset.size**2 * 3
        return max(1, min(MAX_BATCH_CLIPS, batch_bytes // crop_bytes))
