"""The configuration of a run: a frozen, validated dataclass, created from flags and read by graph.py. No Beam."""

from __future__ import annotations

import dataclasses
import hashlib
import math

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.limits import DEFAULT_LIMITS, DecoderLimits
from reelbeam.transforms.media.sampling.clips import ClipSampling
from reelbeam.transforms.media.sandbox.protocol import NUM_SLOTS
from reelbeam.transforms.models.engine import EngineName, Precision
from reelbeam.transforms.models.registry.catalog import ModelSpec
from reelbeam.transforms.records import SkipRules
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.selection.row_options import RowOptions

MAX_VIDEO_BYTES = 50 << 30
MAX_BATCH_BYTES = 64 << 20
MIN_DECODER_MEMORY_BYTES = 64 << 20
_MAX_INPUTS_TOLD = 100

LOCAL_VIDEOS_PER_PART = 5_000
"""Half an hour of work with the smallest models and ten-second videos, on two cores: the work that a crash may lose. A
larger value would give fewer and larger files."""

AN_INPUT = "an input"


@dataclasses.dataclass(frozen=True)
class LabelingConfig:
    """The settings that determine the rows of a run. Beam's options determine where it runs.

    Attributes:
      output: the folder or object-store prefix of the tables.
      inputs: files, folders and patterns.
      input_list: a list file, or None.
      base_dir: the base of relative local paths.
      model: the model, with the preset in use.
      engine: the engine that runs it.
      sampling: the parameters of clip sampling.
      top_k: the number of labels in a row.
      min_score: labels with a lower score are omitted.
      max_failure_ratio: the maximum share of failed inputs in a successful run.
      max_video_bytes: larger files are failures.
      decoder_limits: the limits of a video and of a decoder process.
      spool_dir, spool_bytes: the folder and the limit for remote videos on local disk; None: the folder for temporary
        files, and the default of `reelbeam.transforms.storage.spool.folder`.
      num_threads: the number of threads of the engine; None: the number of cores of its machine.
      precision: the engine's arithmetic precision.
      max_batch_bytes: the maximum size of a model input, in bytes of pixels.
      save_logits, save_embeddings: whether the clips table has these columns.
      skip_rules: which listed videos are skipped.
      videos_per_part: the number of videos in a part that is committed separately; 0: the whole run is one job; None:
        the default of the runner.
      wait_for_lock: whether to wait while another run writes to the output.
    """

    output: str
    inputs: tuple[str, ...]
    input_list: str | None
    base_dir: str
    model: ModelSpec
    engine: EngineName
    sampling: ClipSampling
    top_k: int = 5
    min_score: float = 0.0
    max_failure_ratio: float = 0.5
    max_video_bytes: int = MAX_VIDEO_BYTES
    decoder_limits: DecoderLimits = DEFAULT_LIMITS
    spool_dir: str | None = None
    spool_bytes: int | None = None
    num_threads: int | None = None
    precision: Precision = "float32"
    max_batch_bytes: int = MAX_BATCH_BYTES
    save_logits: bool = False
    save_embeddings: bool = False
    skip_rules: SkipRules = SkipRules()
    videos_per_part: int | None = None
    wait_for_lock: bool = False

    def __post_init__(self) -> None:
        require_name("--output", self.output)
        require_name("--input_list", self.input_list)
        require_name("--spool_dir", self.spool_dir)
        for given in self.inputs:
            require_name(AN_INPUT, given)
        if not self.inputs and not self.input_list:
            raise ConfigError("nothing to label: name files, folders or patterns, or give --input_list FILE")
        _require(self.top_k >= 1, "--top_k", self.top_k, "at least 1")
        _require(0 <= self.min_score <= 1, "--min_score", self.min_score, "from 0 to 1")
        _require(0 <= self.max_failure_ratio <= 1, "--max_failure_ratio", self.max_failure_ratio, "from 0 to 1")
        _require(self.max_video_bytes >= 1, "--max_video_bytes", self.max_video_bytes, "at least 1")
        limits = self.decoder_limits
        least = MIN_DECODER_MEMORY_BYTES
        _require(limits.memory_bytes >= least, "--decoder_memory_bytes", limits.memory_bytes, f"at least {least}")
        _require(limits.deadline_seconds > 0, "--decode_deadline_seconds", limits.deadline_seconds, "above 0")
        _require(limits.max_pixels >= 1, "--max_pixels", limits.max_pixels, "at least 1")
        _require(limits.max_duration_seconds > 0, "--max_duration_seconds", limits.max_duration_seconds, "above 0")
        _require(self.max_batch_bytes >= 1, "--max_batch_bytes", self.max_batch_bytes, "at least 1")
        _require(self.spool_bytes is None or self.spool_bytes >= 1, "--spool_bytes", self.spool_bytes, "at least 1")
        _require(self.num_threads is None or self.num_threads >= 1, "--num_threads", self.num_threads, "at least 1")
        self._require_room_for_clips()
        rules = self.skip_rules
        _require(rules.max_attempts >= 1, "--max_attempts", rules.max_attempts, "at least 1")
        _require(rules.limit is None or rules.limit >= 1, "--limit", rules.limit, "at least 1")
        _require((self.videos_per_part or 0) >= 0, "--videos_per_part", self.videos_per_part, "at least 0")

    def _require_room_for_clips(self) -> None:
        """Checks that a decoder has memory for its ring and its open clips (`ring.py`): a long warm-up may not fit."""
        sampling = self.sampling
        num_open = math.ceil(sampling.clip_seconds / sampling.stride_seconds)  # more than one if clips overlap
        num_clips = NUM_SLOTS + max(num_open - (NUM_SLOTS - 1), 0)
        needed = num_clips * self.clip_frames * self.geometry.size**2 * 3
        if needed > self.decoder_limits.memory_bytes:
            shorten = "shorten --warm_up_seconds" if sampling.warm_up else "lower --num_frames"
            shorten = "raise --clip_stride_seconds" if num_open > 1 else shorten
            raise ConfigError(
                f"a clip has up to {self.clip_frames} frames, and a decoder needs {needed} bytes for {num_clips} of"
                f" them, more than --decoder_memory_bytes {self.decoder_limits.memory_bytes}: raise it, or {shorten}"
            )

    def with_model(self, model: ModelSpec) -> LabelingConfig:
        """Returns the configuration for an updated model, whose kind determines how clips are sampled.

        Raises:
          ConfigError: the flags do not fit a model of this kind.
        """
        try:
            return dataclasses.replace(self, model=model, sampling=dataclasses.replace(self.sampling, kind=model.kind))
        except ValueError as error:
            raise ConfigError(str(error)) from error

    @property
    def clip_frames(self) -> int:
        """The maximum number of frames of a clip, including the warm-up."""
        return self.sampling.num_frames + math.floor(self.sampling.warm_up * self.sampling.target_fps)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The values to keep for each clip besides its scores."""
        return ("logits",) * self.save_logits + ("embedding",) * self.save_embeddings

    @property
    def row_options(self) -> RowOptions:
        """The options for rows."""
        return RowOptions(self.top_k, self.min_score, self.save_logits, self.save_embeddings)

    @property
    def geometry(self) -> Geometry:
        """Scale and crop, as in the model's training."""
        return Geometry(self.model.preset.resize, self.model.preset.size)

    @property
    def sampling_fingerprint(self) -> str:
        """The hash of everything that determines the pixels of the model input: instants, scale and crop."""
        text = f"{self.sampling.fingerprint} {self.geometry.resize} {self.geometry.size}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, object]:
        """Returns the configuration for the run's JSON."""
        preset, sampling = self.model.preset, self.sampling
        return {
            "inputs": [without_query(given) for given in self.inputs[:_MAX_INPUTS_TOLD]],
            "num_input_arguments": len(self.inputs),
            "input_list": self.input_list and without_query(self.input_list),
            "model": without_query(self.model.name),
            "model_kind": self.model.kind,
            "model_handle": without_query(self.model.handle),
            "engine": self.engine,
            "precision": self.precision,
            "output_activation": self.model.output_activation,
            "max_batch_bytes": self.max_batch_bytes,
            "save_logits": self.save_logits,
            "save_embeddings": self.save_embeddings,
            "num_frames": preset.num_frames,
            "target_fps": str(preset.target_fps),
            "resize": preset.resize,
            "size": preset.size,
            "clip_stride_seconds": None if sampling.clip_stride_seconds is None else str(sampling.clip_stride_seconds),
            "clips_per_video": sampling.clips_per_video,
            "tail_policy": sampling.tail,
            "warm_up_seconds": str(sampling.warm_up),
            "top_k": self.top_k,
            "min_score": self.min_score,
            "max_failure_ratio": self.max_failure_ratio,
            "max_video_bytes": self.max_video_bytes,
            "decoder_limits": dataclasses.asdict(self.decoder_limits),
            "skip_rules": dataclasses.asdict(self.skip_rules) | {"retry_failed": sorted(self.skip_rules.retry_failed)},
        }


def require_name(flag: str, value: str | None) -> None:
    """Raises ConfigError if a name is blank, which would mean the working directory; accepts None."""
    if value is not None and not value.strip():
        raise ConfigError(f"{flag} is {value!r}: it must be a name; a shell variable may be unset")
    if value is not None and not is_utf8(value) and flag != AN_INPUT:
        raise ConfigError(f"{flag} is {value!r}: it must be UTF-8; rename the file or folder, or make a link to it")


def is_utf8(name: str) -> bool:
    """Returns whether a name from the system is UTF-8: Python represents other bytes as surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _require(holds: bool, flag: str, value: object, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"{flag} is {value}: it must be {wanted}")
