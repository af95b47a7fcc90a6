"""Flags: both sets are parsed and checked, and give the configuration that they name."""

from __future__ import annotations

import pathlib
import shutil
from fractions import Fraction

import pytest

from reelbeam.pipeline.flags import options
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.transforms.errors import ConfigError, ModelNotFoundError, NotASavedModelError
from reelbeam.transforms.models.registry import catalog, resolver


def config(*flags: str) -> LabelingConfig:
    args, beam_flags = options.parse_flags(["a.mp4", "--output", "out", "--model=demo", *flags])
    assert beam_flags == []
    return options.to_config(args)


@pytest.mark.parametrize("flags", [["a.mp4", "--output", "o"], ["a.mp4"]])
def test_without_a_model_it_is_said_which_there_are(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The demo model is not the default, and no model is downloaded by default."""
    with pytest.raises(SystemExit) as caught:
        options.parse_flags(flags)
    assert caught.value.code == 2
    missing = "--model" if "--output" in flags else "--output, --model"
    assert capsys.readouterr().err == (
        f"reelbeam label: error: the following arguments are required: {missing} (--model a0-base is the smallest for "
        "real videos, fetched at its first use; `reelbeam models` lists others, and the bundled toy, demo); see "
        "`reelbeam label --help`\n"
    )


def test_the_defaults_of_the_demo_model() -> None:
    made = config()
    assert (made.inputs, made.output, made.model.name, made.engine) == (("a.mp4",), "out", "demo", "auto")
    assert (made.sampling.num_frames, made.sampling.target_fps) == (8, 4)
    assert (made.geometry.resize, made.geometry.size) == (72, 64)
    assert (made.top_k, made.min_score, made.max_failure_ratio) == (5, 0.0, 0.5)


def test_flags_of_both_sets_may_come_in_any_order() -> None:
    argv = "--runner FlinkRunner one.mp4 --output out --flink_master=localhost:1 two.mp4 --temp_location out --top_k 3"
    args, beam_flags = options.parse_flags([*argv.split(), "--model=demo"])
    assert args.inputs == ["one.mp4", "two.mp4"]
    assert (args.output, args.top_k) == ("out", 3)
    assert beam_flags == ["--runner", "FlinkRunner", "--flink_master=localhost:1", "--temp_location", "out"]


def test_a_repeated_word_goes_to_the_right_set() -> None:
    argv = ["--temp_location", "/data", "--region", "eu", "/data", "--output", "o", "--model=demo"]
    args, beam_flags = options.parse_flags(argv)
    assert (args.inputs, beam_flags) == (["/data"], ["--temp_location", "/data", "--region", "eu"])


@pytest.mark.parametrize(
    ("words", "beams"),
    [
        (["--num_workers", "-1"], ["--num_workers", "-1"]),
        (["--num_workers=-1"], ["--num_workers=-1"]),
        (["--streaming", "b.mp4"], ["--streaming"]),
        (["--update_compatibility_version"], ["--update_compatibility_version"]),
        (["--update_compatibility_version", "2.76.0"], ["--update_compatibility_version", "2.76.0"]),
        (["--job_name", "a b", "--top_k", "3"], ["--job_name", "a b"]),
        (["--experiments=x", "--experiments", "y"], ["--experiments=x", "--experiments", "y"]),
    ],
)
def test_each_word_goes_to_the_set_that_its_flag_belongs_to(words: list[str], beams: list[str]) -> None:
    """Follows Beam's table of flags, not the argparse of this version of Python."""
    args, beam_flags = options.parse_flags(["a.mp4", "--output", "o", "--model=demo", *words])
    assert beam_flags == beams
    assert args.inputs == ["a.mp4", *(["b.mp4"] if "b.mp4" in words else [])]
    assert args.top_k == (3 if "--top_k" in words else 5)


@pytest.mark.parametrize("following", ["--output", "--no_use_public_ips"])
def test_a_flag_is_not_a_value_of_the_flag_before_it(following: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        options.parse_flags(["a.mp4", "--region", following, "o"])
    assert caught.value.code == 2
    assert "argument --region: expected one argument" in capsys.readouterr().err


def test_a_misspelled_flag_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options.parse_flags(["a.mp4", "--output", "o", "--model=demo", "--tailpolicy=drop"])
    (line,) = capsys.readouterr().err.splitlines()
    assert "did you mean --tail_policy?" in line and line.endswith("; see `reelbeam label --help`")


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--runer=DirectRunner", "unrecognized arguments: --runer=DirectRunner (did you mean --runner?)"),
        ("--direct_num_workers=x", "argument --direct_num_workers: invalid int value: 'x'"),
        ("--runner", "argument --runner: expected one argument"),
        ("--top_k=x", "argument --top_k: invalid int value: 'x'"),
        (
            "--max_video_bytes=1GB",
            "argument --max_video_bytes: '1GB' is not a number of bytes, such as 1000000000 or 14MiB",
        ),
        ("--spool_bytes=x", "argument --spool_bytes: 'x' is not a number of bytes, such as 1000000000 or 14MiB"),
    ],
)
def test_beams_flags_are_answered_as_shortly(flag: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        options.parse_flags(["a.mp4", "--output", "o", "--model=demo", flag])
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"reelbeam label: error: {message}; see `reelbeam label --help`\n"


def test_the_run_summary_keeps_no_secret() -> None:
    url = "https://me:pw@host/a.mp4?sig=SECRET"
    preset = ["--num_frames=16", "--target_fps=8", "--resize=112", "--size=112", "--labels=my.txt"]
    args, _ = options.parse_flags([url, "--output=o", f"--model={url}", f"--input_list={url}", *preset])
    recorded = str(options.to_config(args).to_json())
    assert "SECRET" not in recorded and "pw" not in recorded and "https://host/a.mp4" in recorded


@pytest.mark.parametrize("flag", ["--tok_k=3", "--runer=FlinkRunner", "--top"])
def test_an_unknown_flag_is_an_error(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        options.parse_flags(["a.mp4", "--output", "out", "--model=demo", flag])
    assert exit_info.value.code == 2
    assert flag in capsys.readouterr().err


def test_clips_are_chosen_as_the_flags_say() -> None:
    made = config("--clip_stride_seconds", "1.5", "--clips_per_video=4", "--tail_policy", "drop")
    assert made.sampling.clip_stride_seconds == Fraction(3, 2)
    assert (made.sampling.clips_per_video, made.sampling.tail_policy) == (4, "drop")


def test_a_catalog_model_can_be_changed_and_its_fingerprint_moves() -> None:
    made = config("--model", "a0-base", "--target_fps", "30000/1001", "--resize", "200")
    assert (made.model.preset.target_fps, made.model.preset.num_frames) == (Fraction(30000, 1001), 50)
    assert made.geometry.resize == 200
    prints = [config(*flags).sampling_fingerprint for flags in ((), ("--size=60",), ("--clips_per_video=2",))]
    assert len(set(prints)) == 3
    assert config().sampling_fingerprint == prints[0]


def test_a_model_of_ones_own_needs_its_preset_and_labels(tmp_path: pathlib.Path) -> None:
    with pytest.raises(NotASavedModelError, match="holds no saved_model.pb"):
        config("--model", str(tmp_path))
    shutil.copytree(resolver.resolve(catalog.find("demo").handle), tmp_path, dirs_exist_ok=True)
    with pytest.raises(ConfigError, match="needs --num_frames, --target_fps, --resize, --size, --labels as well"):
        config("--model", str(tmp_path))
    preset = ["--num_frames=16", "--target_fps=8", "--resize=112", "--size=112"]
    made = config("--model", str(tmp_path), *preset, "--labels", "my.txt")
    assert (made.model.handle, made.model.labels, made.model.preset.num_frames) == (str(tmp_path), "my.txt", 16)
    url = "https://example.com/model/1"
    assert config("--model", url, *preset, "--labels=kinetics-600").model.labels.endswith("kinetics_600.txt")


def test_an_unknown_model_is_answered_with_near_names() -> None:
    with pytest.raises(ModelNotFoundError, match="a0-base"):
        config("--model", "a0base")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--top_k=0"], "--top_k is 0"),
        (["--min_score=1.5"], "--min_score is 1.5"),
        (["--max_failure_ratio=-1"], "--max_failure_ratio is -1"),
        (["--clips_per_video=0"], "clips_per_video"),
        (["--clip_stride_seconds=0"], "clip_stride_seconds"),
        (["--target_fps=0"], "target_fps"),
        (["--target_fps=1e99"], "target_fps"),
        (["--size=500"], "size"),
        (["--num_threads=0"], "--num_threads is 0"),
    ],
)
def test_a_value_out_of_range_is_named(flags: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(*flags)


def test_a_warm_up_that_no_decoder_has_room_for_is_refused() -> None:
    carried = ("--model=a0-stream", "--carry_state")
    assert config("--model=a0-stream").clip_frames == 50 and config(*carried).clip_frames == 150
    assert config(*carried, "--warm_up_seconds=1000").clip_frames == 5050
    with pytest.raises(ConfigError, match="up to 15050 frames.* for 3 of them.* shorten --warm_up_seconds"):
        config(*carried, "--warm_up_seconds=3000")
    raised = config(*carried, "--warm_up_seconds=3000", f"--decoder_memory_bytes={4 << 30}")
    assert raised.clip_frames == 15050


def test_clips_that_overlap_too_often_for_a_decoder_are_refused() -> None:
    assert config("--model=a5-base", "--clip_stride_seconds=1/4")
    with pytest.raises(ConfigError, match="for 68 of them.* raise --clip_stride_seconds"):
        config("--model=a5-base", "--clip_stride_seconds=3/20")


def test_clips_of_three_crops_that_no_decoder_has_room_for_are_refused() -> None:
    memory = f"--decoder_memory_bytes={256 << 20}"
    assert config("--model=a5-base", memory) and config("--model=a5-base", memory, "--crops=whole")
    with pytest.raises(ConfigError, match=f"needs {3 * 120 * 320 * 960 * 3} bytes for 3 of them.* --crops center"):
        config("--model=a5-base", memory, "--crops=three")


def test_nothing_to_label_is_an_error() -> None:
    args, _ = options.parse_flags(["--output", "out", "--model=demo"])
    with pytest.raises(ConfigError, match="nothing to label"):
        options.to_config(args)
