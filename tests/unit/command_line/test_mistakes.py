"""Common mistakes of a first run: each message says what is wrong and what to do."""

from __future__ import annotations

import dataclasses
import datetime
import io
import logging
import pathlib
import shutil
from typing import Any

import output_factory as factory
import pytest
import record_factory as make
from output_factory import Video
from rich.console import Console

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.commands import plan
from reelbeam.pipeline.commands.estimate import ModelPlan, Plan
from reelbeam.pipeline.costs.table import DecodeCost
from reelbeam.pipeline.flags import options
from reelbeam.pipeline.flags.parser import Parser
from reelbeam.pipeline.job.earlier_runs import warn_of_other_work
from reelbeam.pipeline.reports import summary
from reelbeam.transforms import storage
from reelbeam.transforms.errors import ModelNotFoundError, ObjectNotFoundError, TooManyFailuresError
from reelbeam.transforms.inputs.expansion import why_nothing
from reelbeam.transforms.output.run_commit import check
from reelbeam.transforms.output.run_counts import Counts, ErrorCount, Files
from reelbeam.transforms.output.run_document import RunDocument, RunFacts
from reelbeam.transforms.output.runs import Latest
from reelbeam.transforms.schemas import SCHEMA_VERSION


def label_error(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as caught:
        options.parse_flags(list(words))
    assert caught.value.code == 2
    return capsys.readouterr().err


# Flags


@pytest.mark.parametrize("word", ["--modle", "--modle=demo", "--mode"])
def test_a_misspelled_flag_is_reported_before_the_flag_that_is_missing(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = label_error(capsys, "a.mp4", "--output=o", word)
    assert message == (
        f"reelbeam label: error: unrecognized arguments: {word} (did you mean --model?); see `reelbeam label --help`\n"
    )


@pytest.mark.parametrize("words", [["-model", "demo"], ["-model=demo"]])
def test_a_required_flag_with_one_hyphen_gets_the_flag_with_two(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    message = label_error(capsys, "a.mp4", "--output=o", *words)
    assert message == (
        f"reelbeam label: error: unrecognized arguments: {words[0]} (did you mean --model? it begins with two "
        "hyphens); see `reelbeam label --help`\n"
    )


def test_every_command_distinguishes_a_misspelled_flag_from_a_missing_one(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="x")
    parser.add_argument("--to", required=True)
    parser.add_argument("--output", required=True)
    with pytest.raises(SystemExit):
        parser.parse_args(["--to=1", "--outptu", "o"])
    assert "unrecognized arguments: --outptu (did you mean --output?)" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parser.parse_args(["--to=1", "--", "--outptu"])
    assert "arguments are required: --output;" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("modles", "no model is called 'modles', and no file or folder is at {here}/modles; pass a catalog name"),
        ("a0-bse", "no file or folder is at {here}/a0-bse; did you mean a0-base"),
        ("models/mine", "no file or folder is at {here}/models/mine; pass a catalog name"),
        ("file/mine", "{here}/file is a file, not a folder; pass a catalog name"),
    ],
)
def test_a_missing_model_is_reported_with_its_whole_path(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, model: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    args, _ = options.parse_flags(["a.mp4", "--output=o", f"--model={model}"])
    with pytest.raises(ModelNotFoundError) as caught:
        options.to_config(args)
    assert said.format(here=tmp_path) in str(caught.value)
    assert str(caught.value).endswith(
        "pass a catalog name (`reelbeam models` lists them), a URL, an address in an object store, the folder of a "
        "SavedModel or of an exported model, or an archive of one (.tar.gz, .tar, .zip)"
    )


def test_flags_that_change_the_clips_of_a_known_model_cause_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for flags in ([], ["--target_fps=4"], ["--target_fps=5", "--resize=80", "--num_frames=8"]):
            args, _ = options.parse_flags(["a.mp4", "--output=o", "--model=demo", *flags])
            options.to_config(args)
    assert [record.getMessage() for record in caplog.records] == [
        "model demo is made for --target_fps 4, --resize 72; the flags ask for --target_fps 5, --resize 80"
    ]


def test_models_list_is_answered_with_the_command_that_lists(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["models", "list"])
    assert "'list' is neither fetch nor export; `reelbeam models` alone lists the models" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["label", "plan"])
def test_help_marks_required_flags_and_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert text.count("(required)") == 2
    assert f"Example: reelbeam {command} ~/videos --model a0-base --output ~/labels" in text


# Inputs and outputs


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("empty", "the folder holds no file"),
        ("texts", "the folder holds no file with a video's extension (ignored here: 1 .txt)"),
        ("*.mp4", "no file matches the pattern"),
        ("text*", "no file matches the pattern (ignored here: 1 folder that a pattern matches)"),
        ("gone", "nothing is there; correct the path"),
        ("gone/deep", "nothing is there; correct the path"),
        ("s3:/bucket/videos", "nothing is there; did you mean s3://bucket/videos?"),
        ("texts/a.txt/", "{here}/texts/a.txt is a file, not a folder; correct the path"),
        ("texts/a.txt/b", "{here}/texts/a.txt is a file, not a folder; correct the path"),
    ],
)
def test_an_input_without_a_video_is_reported_with_its_content(tmp_path: pathlib.Path, given: str, why: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").touch()
    assert why_nothing(given, str(tmp_path)) == why.format(here=tmp_path)


@pytest.mark.parametrize(
    ("entry", "remedy"),
    [
        ("*.mp4", "list entries are files, not patterns"),
        ('"a.mp4"', "remove the quotes"),
        ("s3:/bucket/a.mp4", "did you mean s3://bucket/a.mp4?"),
        ("a.mp4", "check the path and its spelling"),
    ],
)
def test_a_list_entry_that_does_not_exist_is_reported_with_what_it_may_mean(
    tmp_path: pathlib.Path, entry: str, remedy: str
) -> None:
    with pytest.raises(ObjectNotFoundError) as caught:
        storage.stat(storage.normalize(entry, str(tmp_path)))
    assert str(caught.value) == f"{tmp_path}/{entry} does not exist; {remedy}"


def test_a_file_that_is_named_as_an_output_is_called_a_file(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "notes.txt"
    path.touch()
    for command in (["status"], ["sql"], ["compact"], ["verify"]):
        assert main([*command, str(path)]) == 2
        assert capsys.readouterr().err == (
            f"reelbeam: {path} is a file, not a folder: name the folder that was --output of `reelbeam label`\n"
        )


def test_probe_continues_after_an_input_without_a_video(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    shutil.copy(samples_dir / "growing.mp4", tmp_path / "c")
    assert main(["probe", *(str(tmp_path / name) for name in "abc")]) == 1
    printed = "".join(capsys.readouterr().out.split())
    assert "growing.mp4" in printed
    for name in "ab":
        assert f"{tmp_path}/{name} matches no video: the folder holds no file".replace(" ", "") in printed
    assert main(["probe", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert capsys.readouterr().err == (
        f"reelbeam: {tmp_path}/a matches no video: the folder holds no file; "
        f"{tmp_path}/b matches no video: the folder holds no file\n"
    )


# Runs


def counts_of(**given: int) -> Counts:
    return Counts(**dict.fromkeys((field.name for field in dataclasses.fields(Counts)), 0) | given)


def document(counts: Counts, skipped: dict[str, int], **given: Any) -> RunDocument:
    facts = vars(RunFacts.of(factory.run_info(1, "other"))) | {"model": "a0-base"} | given
    return RunDocument(
        **facts,
        schema_version=SCHEMA_VERSION,
        counts=counts,
        errors=(),
        labels=(),
        files=Files(),
        finished_at="2026-01-02T03:04:05+00:00",
        selected={},
        skipped=skipped,
    )


def test_failures_of_the_installation_are_answered_with_what_to_install() -> None:
    remedy = "no file system for hdfs://x/y.mp4: the client for hdfs:// is not installed"
    setup, other = (ErrorCount(code, 1, message=remedy) for code in ("unsupported_uri", "not_a_video"))
    counts = counts_of(inputs=1, videos=1, failed=1, first_attempts=1, failed_first_attempts=1)
    for errors, advice in (
        ([setup], remedy),
        ([other, setup], remedy),
        ([other], "fix the errors, or raise --max_failure_ratio"),
    ):
        with pytest.raises(TooManyFailuresError) as caught:
            check(counts, max_failure_ratio=0.5, errors=errors)
        assert str(caught.value) == f"1 of 1 input failed, more than --max_failure_ratio 0.5 allows: {advice}"


def test_a_run_in_which_everything_was_done_before_says_so() -> None:
    counts = counts_of(inputs=3, skipped=3)
    done = document(counts, {"already_labeled": 2, "gave_up": 1})
    assert summary._nothing_line(done) == "Nothing new: 3 inputs, 3 skipped: 2 labeled already, 1 failed too often"
    limited = document(counts, {"beyond_limit": 3})
    assert summary._nothing_line(limited) == "Nothing to label: 3 inputs, 3 skipped: 3 beyond --limit"
    assert summary._nothing_line(document(counts_of(), {})) == "Nothing to label: 0 inputs"


def test_missing_columns_of_skipped_rows_are_reported_with_their_flags() -> None:
    asked = {"top_k": 5, "min_score": 0.25, "save_logits": False, "save_embeddings": True}
    one = document(counts_of(inputs=1, skipped=1), {"other_options": 1}, configuration=asked)
    assert summary._skipped_line(one) == (
        "1 input, 1 skipped: 1 labeled already, by runs with other row options than this run's --top_k 5, --min_score "
        "0.25, --save_embeddings (pass --force to label again)"
    )


def test_the_warning_about_earlier_runs_says_what_becomes_of_whose_rows(caplog: pytest.LogCaptureFixture) -> None:
    before = document(counts_of(), {})
    with caplog.at_level(logging.WARNING):
        warn_of_other_work(Latest(before, datetime.datetime.now(datetime.UTC)), make.RUN, "/labels")
    assert [record.getMessage() for record in caplog.records] == [
        f"/labels was last labeled with the model a0-base. This run, with the model {make.RUN.model}, also labels "
        "videos that have only such rows. The earlier rows are kept; `status` and the views prefer the rows of this "
        "run. To keep the rows apart, pass another --output"
    ]


SHORT_PLAN = Plan(
    output="o",
    inputs=1,
    outcomes={},
    ignored={},
    to_label=1,
    sampled=1,
    extrapolated=False,
    hours=4 / 3600,
    hours_error=0.0,
    failures={},
    clips=1,
    engine="openvino",
    models=(),
    videos_per_part=None,
)


def cost(model: str, hours: float | None, measured: bool) -> ModelPlan:
    return ModelPlan(model, 1, hours, DecodeCost(0.1, 0.2, 0.3), hours, measured)


def test_a_plan_explains_only_the_marks_that_its_table_has() -> None:
    measured, estimated, own = cost("a0-base", 1.0, True), cost("a5-base", 9.0, False), cost("mine", None, False)
    starred, unknown = " * not measured, estimated from GFLOPs.", " unknown: the catalog has no cost of the model."
    for models, end in (
        ((measured,), "size of the picture."),
        ((measured, estimated), starred),
        ((own, measured), f"size of the picture.{unknown}"),
        ((own, measured, estimated), starred + unknown),
    ):
        assert plan._footnote(dataclasses.replace(SHORT_PLAN, models=models)).endswith(end)
    page = io.StringIO()
    Console(file=page, width=120).print(plan._costs_table(dataclasses.replace(SHORT_PLAN, models=(own,))))
    assert page.getvalue().count("unknown") == 3


def test_a_short_plan_is_printed_in_seconds() -> None:
    assert plan._summary(SHORT_PLAN) == "1 input, 1 to label: 4 seconds of video, 1 clip"
    more = dataclasses.replace(
        SHORT_PLAN, inputs=3000, to_label=3000, sampled=2000, extrapolated=True, hours=30.0, hours_error=0.5, clips=9
    )
    assert plan._summary(more) == (
        "3000 inputs, 3000 to label: 30 hours of video (± 30 minutes: estimated from the headers of 2000 videos), "
        "9 clips"
    )


def test_status_shows_how_to_continue_an_interrupted_run(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    factory.stage(tmp_path, factory.run_info(1), [Video("y.mp4")])
    assert main(["status", str(tmp_path)]) == 0
    assert ": interrupted: start the same `reelbeam label` again to continue\n" in capsys.readouterr().out
