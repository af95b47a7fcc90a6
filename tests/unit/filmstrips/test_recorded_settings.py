"""What a run document says of its sampling: exactly what the run had, and nothing out of bounds."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from reelbeam.pipeline.flags import options
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.transforms.media.decoding.model_input import RecordedSettings, UnrecordedError
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.media.sampling.clips import plan_clip_spans
from reelbeam.transforms.media.sampling.stream import plan_stream_spans
from reelbeam.transforms.records import ClipSpan


def config(*flags: str) -> LabelingConfig:
    args, _ = options.parse_flags(["a.mp4", "--output", "out", *flags])
    return options.to_config(args)


def recorded(made: LabelingConfig, **changed: object) -> RecordedSettings:
    configuration: dict[str, object] = json.loads(json.dumps(made.to_json()))
    return RecordedSettings.of(configuration | changed)


def plan(sampling: ClipSampling) -> tuple[ClipSpan, ...]:
    plan = plan_stream_spans if sampling.kind == "stream" else plan_clip_spans
    return plan(Fraction(123_457, 1000), sampling)


@pytest.mark.parametrize(
    "flags",
    [
        "--model=demo",
        "--model=a0-base",
        "--model=a5-base --tail_policy drop",
        "--model=demo --tail_policy repeat_last --clips_per_video 3",
        "--model=demo --target_fps 30000/1001 --clip_stride_seconds 0.333 --num_frames 7",
        "--model=demo --resize 300 --size 299",
        "--model=demo --crops three",
        "--model=a0-stream --crops whole",
        "--model=a0-stream",
        "--model=a0-stream --tail_policy keep --clips_per_video 2",
        "--model=a0-stream --carry_state",
        "--model=a0-stream --carry_state --warm_up_seconds 7.5 --clip_stride_seconds 33 --tail_policy drop",
        "--model=a0-stream --carry_state --warm_up_seconds 0 --clips_per_video 2",
    ],
)
def test_the_settings_of_a_run_are_read_back(flags: str) -> None:
    made = config(*flags.split())
    found = recorded(made).model_input()
    assert found.fingerprint == made.sampling_fingerprint
    assert found.geometry == made.geometry
    assert plan(found.sampling) == plan(made.sampling)


@pytest.mark.parametrize("flags", ["--model=demo", "--model=a0-stream --carry_state --warm_up_seconds 3"])
def test_a_run_before_there_was_a_switch_carried_the_state(flags: str) -> None:
    made = config(*flags.split())
    configuration: dict[str, object] = json.loads(json.dumps(made.to_json()))
    del configuration["carry_state"]
    assert RecordedSettings.of(configuration).model_input().fingerprint == made.sampling_fingerprint


def test_the_limits_of_a_run_are_read_back() -> None:
    made = config("--model=demo", "--max_pixels=1000", "--max_video_bytes=12345", "--decoder_memory_bytes=123456789")
    found = recorded(made)
    assert (found.decoder_limits, found.max_video_bytes) == (made.decoder_limits, 12345)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_frames", 10**12),
        ("num_frames", True),
        ("num_frames", None),
        ("target_fps", 5),
        ("target_fps", "1/0"),
        ("target_fps", "1e99"),
        ("target_fps", "0"),
        ("clip_stride_seconds", "1/100000"),
        ("clips_per_video", 0),
        ("resize", 1_000_000),
        ("size", -1),
        ("model_kind", "other"),
        ("tail_policy", "keep"),
        ("crops", "all"),
        ("warm_up_seconds", "1e9"),
        ("decoder_limits", {"memory_bytes": "much"}),
        ("max_video_bytes", "1"),
    ],
)
def test_a_value_that_no_run_writes_is_named(name: str, value: object) -> None:
    with pytest.raises(UnrecordedError, match=name):
        recorded(config("--model=demo"), **{name: value}).model_input()


def test_a_document_without_settings_is_refused() -> None:
    with pytest.raises(UnrecordedError, match="configuration.model_kind is missing"):
        RecordedSettings.of({})
    with pytest.raises(UnrecordedError, match="size=72, resize=64"):
        recorded(config("--model=demo"), resize=64, size=72).model_input()


def test_a_document_from_before_there_were_crops_has_the_center() -> None:
    made = config("--model=demo")
    configuration: dict[str, object] = json.loads(json.dumps(made.to_json()))
    del configuration["crops"]
    found = RecordedSettings.of(configuration).model_input()
    assert (found.geometry, found.fingerprint) == (made.geometry, made.sampling_fingerprint)
