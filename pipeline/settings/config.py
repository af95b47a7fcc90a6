"""What a run is to do: one frozen, validated record, made from flags by options.py and read by graph.py. No Beam."""

from __future__ import annotations

import dataclasses
import hashlib
import math

from reelbeam.transforms.errors import ConfigError, without_query
from reelbeam.transforms.media.decoding.picture import Geometry
from reelbeam.transforms.media.limits import DEFAULT_LIMITS, DecoderLimits
from reelbeam.transforms.media.sampling.clips import ClipSampling
from reelbeam.transforms.media.sandbox.wire import NUM_SLOTS
from reelbeam.transforms.models.engine import EngineName, Precision
from reelbeam.transforms.models.registry.catalog import ModelSpec
from reelbeam.transforms.records import SkipRules
from reelbeam.transforms.selection.row_options import RowOptions

MAX_VIDEO_BYTES = 50 << 30
MAX_BATCH_BYTES = 64 << 20
MIN_DECODER_MEMORY_BYTES = 64 << 20
_MAX_INPUTS_TOLD = 100

LOCAL_VIDEOS_PER_PART = 5_000
"""Half an hour of work with the smallest models and ten-second videos, on two cores: what a crash may cost. More would
be few and larger files."""

AN_INPUT = "an input"


@dataclasses.dataclass(frozen=True)
class LabelingConfig:
    """Everything that decides the rows of a run, and nothing of where it runs (those are Beam's options).

    Attributes:
      output: folder or object-store prefix of the tables.
      inputs: files, folders and patterns.
      input_list: list file, or None.
      base_dir: what relative local paths are relative to.
      model: the model, with the preset that is used.
      engine: what runs it.
      sampling: which clips.
      top_k: labels that a row names.
      min_score: labels below it are not named.
      max_failure_ratio: share of failed inputs with which a run still counts.
      max_video_bytes: larger files are failures.
      decoder_limits: what a video may ask for, and what a decoder process may use.
      spool_dir, spool_bytes: where remote videos are kept on their way to the decoder, and how much of them at most;
        None: the folder for temporary files, and what `reelbeam.transforms.storage.spool.folder` finds fit.
      num_threads: threads of the engine; None: the cores of the machine that it runs on.
      precision: of the engine's arithmetic.
      max_batch_bytes: pixels that the model is given at once.
      save_logits, save_embeddings: whether the clips table has these columns.
      skip_rules: which of the listed videos are left out.
      videos_per_part: videos of a part that is committed by itself; 0: everything is one run, chosen and labeled by one
        job; None: as suits the runner.
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
        """A decoder holds its ring and the clips that it fills elsewhere (`ring.py`): a long warm-up may not fit."""
        sampling = self.sampling
        num_open = math.ceil(sampling.clip_seconds / sampling.stride_seconds)  # more than one where clips overlap
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
        """Returns the configuration for a model of which more is known now: its kind decides how clips are chosen.

        Raises:
          ConfigError: the flags do not go with a model of this kind.
        """
        try:
            return dataclasses.replace(self, model=model, sampling=dataclasses.replace(self.sampling, kind=model.kind))
        except ValueError as error:
            raise ConfigError(str(error)) from error

    @property
    def clip_frames(self) -> int:
        """Most frames of a clip, warm-up included."""
        return self.sampling.num_frames + math.floor(self.sampling.warm_up * self.sampling.target_fps)

    @property
    def outputs(self) -> tuple[str, ...]:
        """What is to be kept of each clip besides its scores."""
        return ("logits",) * self.save_logits + ("embedding",) * self.save_embeddings

    @property
    def row_options(self) -> RowOptions:
        """What is asked of rows beside the scores."""
        return RowOptions(self.top_k, self.min_score, self.save_logits, self.save_embeddings)

    @property
    def geometry(self) -> Geometry:
        """Scale and crop, as the model was trained."""
        return Geometry(self.model.preset.resize, self.model.preset.size)

    @property
    def sampling_fingerprint(self) -> str:
        """Hash of everything that decides which pixels the model gets: instants, scale and crop."""
        text = f"{self.sampling.fingerprint} {self.geometry.resize} {self.geometry.size}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, object]:
        """Returns the configuration as the run document keeps it."""
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
    """Raises ConfigError where a name is blank, which would mean the working directory; None: it was not given."""
    if value is not None and not value.strip():
        raise ConfigError(f"{flag} is {value!r}: it must be a name; a shell variable may be unset")
    if value is not None and not is_utf8(value) and flag != AN_INPUT:
        raise ConfigError(f"{flag} is {value!r}: it must be UTF-8; rename the file or folder, or make a link to it")


def is_utf8(name: str) -> bool:
    """Whether a name that the system gave is UTF-8: Python keeps the bytes of others as surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _require(holds: bool, flag: str, value: object, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"{flag} is {value}: it must be {wanted}")
