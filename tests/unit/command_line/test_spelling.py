"""Flags take hyphens and underscores alike, in every command, and Beam's flags do, too."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.flags import options, spelling
from reelbeam.pipeline.flags.beam_parser import beam_parser
from reelbeam.pipeline.flags.parser import flag_names
from tools import docs_reference

BASE = ["a.mp4", "--output=out", "--model=demo"]


def parsed(*words: str) -> tuple[dict[str, object], Sequence[str]]:
    args, beam_flags = options.parse_flags([*BASE, *words])
    return vars(args), beam_flags


@pytest.mark.parametrize("command", docs_reference.PARSERS)
def test_each_flag_takes_hyphens_for_underscores(command: str) -> None:
    parser = docs_reference.PARSERS[command]()
    flags = [each.option for each in parser.settings if not each.flag.is_positional]
    hyphens = ["--" + flag[2:].replace("_", "-") for flag in flags]
    assert parser._respelled(hyphens) == flags
    assert parser._respelled([f"{flag}=a-b_c" for flag in hyphens]) == [f"{flag}=a-b_c" for flag in flags]


@pytest.mark.parametrize("command", docs_reference.PARSERS)
def test_beam_has_no_other_spelling_of_an_own_flag(command: str) -> None:
    own = flag_names(docs_reference.PARSERS[command]())
    beams = flag_names(beam_parser(own, command))
    words = [spelled for name in own for spelled in (name, name[:2] + name[2:].replace("_", "-"))]
    assert spelling.respelled(words, own) == spelling.respelled(words, own | beams)
    assert not set(spelling.respelled(words, own)) & beams


def test_hyphens_and_underscores_are_the_same_flag() -> None:
    words = ["--clip_stride_seconds", "3/2", "--clips_per_video=4", "--save_logits", "--retry_failed=not_a_video"]
    hyphens = ["--clip-stride-seconds", "3/2", "--clips-per-video=4", "--save-logits", "--retry-failed=not_a_video"]
    assert parsed(*words) == parsed(*hyphens)


@pytest.mark.parametrize(
    ("words", "beams"),
    [
        (["--direct-num-workers=3"], ["--direct_num_workers=3"]),
        (["--temp-location", "/a-b"], ["--temp_location", "/a-b"]),
        (["--job-server-timeout=9"], ["--job-server-timeout=9"]),
        (["--job_server_timeout=9"], ["--job_server_timeout=9"]),  # Beam has both
    ],
)
def test_beams_flags_take_both(words: list[str], beams: list[str]) -> None:
    assert parsed(*words)[1] == beams


def test_words_after_two_dashes_are_not_flags() -> None:
    parser = docs_reference.PARSERS["probe"]()
    assert parser.parse_args(["--allow-unconfined-decoder", "--", "--a-b"]).files == ["--a-b"]


@pytest.mark.parametrize("word", ["--tail-polcy=drop", "--tail_polcy=drop", "--tailpolicy"])
def test_a_misspelled_flag_with_hyphens_is_answered_with_the_nearest(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        options.parse_flags([*BASE, word])
    assert f"unrecognized arguments: {word} (did you mean --tail_policy?)" in capsys.readouterr().err


def test_a_misspelled_flag_that_is_required_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options.parse_flags(["a.mp4", "--output=out", "--mod-el=demo"])
    assert "unrecognized arguments: --mod-el=demo (did you mean --model?)" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--to", "x.html", "--clips", "4"], ["--run=x"], ["--no_images"]])
def test_flags_of_other_commands_are_not_answered_with_flags_that_begin_alike(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        options.parse_flags([*BASE, *words])
    error = capsys.readouterr().err
    assert f"unrecognized arguments: {words[0]}" in error and "did you mean" not in error


def test_switches_that_are_read_before_parsing_take_hyphens(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["label", "--summary-json"])
    assert json.loads(capsys.readouterr().out)["exit_code"] == 2
