"""Settings of `reelbeam label` besides those of the model, each declared once, and the groups of all of them."""

from __future__ import annotations

import dataclasses

from reelbeam.pipeline.settings import values
from reelbeam.pipeline.settings.declaration import Flag, Group, required, setting
from reelbeam.pipeline.settings.model_settings import (
    ClipSettings,
    EngineSettings,
    ModelDescription,
    ModelName,
    PictureSettings,
)
from reelbeam.pipeline.settings.values import Range
from reelbeam.transforms import wording
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.records import SkipRules

LOCAL_VIDEOS_PER_PART = 5_000
"""Half an hour of work with the smallest models and ten-second videos, on two cores: the work that a crash may lose. A
larger value would give fewer and larger files."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class InputSettings:
    """The videos, and the output."""

    inputs: tuple[str, ...] = setting(
        (), Flag("Video file, folder or pattern (quote it)", "INPUT", is_positional=True, is_location=True)
    )
    input_list: str | None = setting(
        None,
        Flag(
            "List of videos: txt (one URI per line), csv, jsonl or parquet with a video_uri column; start_seconds and "
            "end_seconds select a range; other columns are kept as metadata",
            "FILE",
            is_location=True,
        ),
    )
    output: str = required(
        str, Flag("Folder or object-store prefix of the tables", "DIR", is_location=True, is_recorded=False)
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SandboxSettings:
    """The confinement of decoders."""

    allow_unconfined_decoder: bool = setting(
        DecoderLimits.allow_unconfined,
        Flag(
            "Run even if the system has neither seccomp filters nor Landlock; hostile videos can then read files",
            attribute="decoder_limits.allow_unconfined",
        ),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """The limits of a video and of its decoder."""

    max_video_bytes: int = setting(50 << 30, Flag("Maximum size of a file", "N", show=values.byte_text))
    max_pixels: int = setting(
        DecoderLimits.max_pixels,
        Flag(
            "Maximum number of pixels of a picture",
            "N",
            Range(1, 1 << 30),
            show=values.square_text,
            attribute="decoder_limits.max_pixels",
        ),
    )
    max_duration_seconds: float = setting(
        DecoderLimits.max_duration_seconds,
        Flag(
            "Maximum duration of a video",
            "S",
            Range(0, 31_536_000, is_open=True),
            show=wording.duration,
            attribute="decoder_limits.max_duration_seconds",
        ),
    )
    decoder_memory_bytes: int = setting(
        DecoderLimits.memory_bytes,
        Flag(
            "Maximum memory of a decoder process; each thread has one",
            "N",
            Range(64 << 20, 1 << 45),
            show=values.byte_text,
            attribute="decoder_limits.memory_bytes",
        ),
    )
    decode_deadline_seconds: float = setting(
        DecoderLimits.deadline_seconds,
        Flag(
            "Maximum time that the model waits for the decoder of a segment, in addition to a multiple of its duration",
            "S",
            Range(0, 86_400, is_open=True),
            show=wording.duration,
            attribute="decoder_limits.deadline_seconds",
        ),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoteSettings:
    """The copies of remote videos."""

    spool_dir: str | None = setting(
        None,
        Flag(
            "Local folder for copies of remote videos",
            "DIR",
            unset="the folder for temporary files",
            is_location=True,
            is_recorded=False,
        ),
    )
    spool_bytes: int | None = setting(
        None,
        Flag(
            "Maximum size of the copies that a process keeps",
            "N",
            unset="20 GiB, or 80 % of the free disk space if that is less",
            show=values.byte_text,
            is_recorded=False,
        ),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class IncrementalSettings:
    """Which of the listed videos are labeled, and how runs share an output."""

    force: bool = setting(
        SkipRules.force, Flag("Label everything again, even if the output has its rows", attribute="skip_rules.force")
    )
    max_attempts: int = setting(
        SkipRules.max_attempts,
        Flag(
            "Maximum attempts for transient failures, such as time-outs of storage",
            "N",
            Range(1, 1_000_000),
            attribute="skip_rules.max_attempts",
        ),
    )
    retry_failed: frozenset[str] = setting(
        SkipRules.retry_failed,
        Flag(
            "Retry videos that failed with this error code; a list a,b or `all`; may be repeated",
            "CODE",
            parse=values.error_codes,
            attribute="skip_rules.retry_failed",
        ),
    )
    shard: tuple[int, int] | None = setting(
        SkipRules.shard,
        Flag(
            "Label only the I-th of N shares of the videos, 1/N to N/N, by a hash",
            "I/N",
            parse=values.shard,
            attribute="skip_rules.shard",
        ),
    )
    limit: int | None = setting(
        SkipRules.limit,
        Flag("Maximum number of videos to label; the next run labels further ones", "N", attribute="skip_rules.limit"),
    )
    since: float | None = setting(
        SkipRules.since,
        Flag(
            "Label only files modified since: 2026-01-31 (UTC), 2026-01-31T06:00+02:00",
            "TIME",
            parse=values.time,
            attribute="skip_rules.since",
        ),
    )
    videos_per_part: int | None = setting(
        None,
        Flag(
            "Commit in parts of N videos; 0: all at once",
            "N",
            Range(0),
            unset=f"{LOCAL_VIDEOS_PER_PART}, on a cluster 0",
            is_recorded=False,
            in_template=False,
        ),
    )
    wait_for_lock: bool = setting(
        False,
        Flag(
            "Wait while another run writes to the output, instead of exiting with 5",
            is_recorded=False,
            in_template=False,
        ),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelSettings:
    """The labels and the optional columns of rows."""

    top_k: int = setting(5, Flag("Number of labels in a row", "K", Range(1, 1_000_000)))
    min_score: float = setting(0.0, Flag("Omit labels with a lower score", "S", Range(0, 1)))
    thresholds: str | None = setting(
        None,
        Flag(
            "Omit labels that do not pass: a .json file with a lowest score for each label, such as `reelbeam evaluate "
            "--write_thresholds` writes",
            "FILE",
            is_location=True,
        ),
    )
    save_logits: bool = setting(False, Flag("Save the logits in the clips table, as float16"))
    save_embeddings: bool = setting(
        False,
        Flag("Save the activations before the classifier in the clips table, as float16; a MoViNet has 2048"),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommitSettings:
    """The condition for the commit of a run."""

    max_failure_ratio: float = setting(
        0.5, Flag("Commit nothing and exit with 3 if a larger share of the inputs fails", "R", Range(0, 1))
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProcessSettings:
    """What the program prints, and when it ends. No Flex Template has a use for the end: its launcher never waits."""

    verbose: bool = setting(False, Flag("Show the logs of Beam and of the engines", is_recorded=False))
    no_wait: bool = setting(
        False,
        Flag(
            "Submit the job and return; it commits its run by itself; not for local runs",
            is_recorded=False,
            in_template=False,
        ),
    )
    report: bool = setting(
        False,
        Flag(
            "Write OUTPUT/report.html at the end of a run, see `reelbeam report`", is_recorded=False, in_template=False
        ),
    )
    summary_json: bool = setting(
        False,
        Flag(
            "Print one line of JSON to stdout at the end: result, counts, paths", is_recorded=False, in_template=False
        ),
    )


LABEL_GROUPS = (
    Group("What to label", (InputSettings,)),
    Group("Model", (ModelName, ModelDescription, EngineSettings)),
    Group("Clips", (ClipSettings, PictureSettings)),
    Group("Per-video limits; a video that exceeds one is recorded as failed", (LimitSettings, SandboxSettings)),
    Group("Videos in object stores", (RemoteSettings,)),
    Group("Incremental runs: which videos are processed", (IncrementalSettings,)),
    Group("Rows", (LabelSettings, CommitSettings)),
    Group("Other", (ProcessSettings,)),
)
LABEL_SETTINGS = tuple(each for group in LABEL_GROUPS for each in group.settings)
