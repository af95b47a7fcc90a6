"""Settings: flags, checks, configuration, the run's JSON, Flex Template and docs all come from one declaration."""

from __future__ import annotations

import ast
import collections
import dataclasses
import operator
import pathlib
from fractions import Fraction
from typing import Any

import pytest

from reelbeam.pipeline import flex_template
from reelbeam.pipeline.flags import options
from reelbeam.pipeline.flags.parser import Parser, make_parser
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.pipeline.settings.declaration import Flag, Group, Setting, from_values, required, setting, settings_of
from reelbeam.pipeline.settings.label_settings import LABEL_SETTINGS, RemoteSettings
from reelbeam.pipeline.settings.values import Range, byte_count, byte_text
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.records import SkipRules
from reelbeam.transforms.storage.spool import folder
from tools import docs_reference

ROOT = pathlib.Path(__file__).resolve().parents[3]
BY_NAME = {each.name: each for each in LABEL_SETTINGS}
BASE = ["a.mp4", "--output=out", "--model=a0-base"]


def config(*flags: str) -> LabelingConfig:
    return options.to_config(options.parse_flags([*BASE, *flags])[0])


def given(each: Setting) -> tuple[list[str], object]:
    """Returns words that set a setting to another value than its default, and that value."""
    if each.is_switch:
        return [each.option], True
    if each.range is not None:
        value = each.range.highest if each.name != "size" else 16
        value = Fraction(value) if each.kind is Fraction else value
        return [f"{each.option}={value}"], value
    known: dict[str, tuple[str, object]] = {
        "input_list": ("list.csv", "list.csv"),
        "thresholds": ("t.json", "t.json"),
        "output": ("out", "out"),
        "model": ("a0-base", "a0-base"),
        "labels": ("mine.txt", "mine.txt"),
        "output_activation": ("softmax", "softmax"),
        "model_fingerprint": ("ab" * 32, "ab" * 32),
        "engine": ("openvino", "openvino"),
        "precision": ("bfloat16", "bfloat16"),
        "tail_policy": ("drop", "drop"),
        "crops": ("three", "three"),
        "spool_dir": ("/spool", "/spool"),
        "retry_failed": ("not_a_video,all", frozenset({"not_a_video", "all"})),
        "shard": ("2/4", (1, 4)),
        "since": ("2026-01-31", 1769817600.0),
    }
    text, known_value = known[each.name]
    return [f"{each.option}={text}"], known_value


# What the declarations make


@pytest.mark.parametrize("command", docs_reference.PARSERS)
def test_a_parser_has_the_flags_of_its_settings(command: str) -> None:
    parser = docs_reference.PARSERS[command]()
    options_of = {name for action in parser._actions for name in action.option_strings} - {"-h", "--help"}
    assert options_of == {each.option for each in parser.settings if not each.flag.is_positional}
    assert len({each.name for each in parser.settings}) == len(parser.settings)
    helps = {action.dest: str(action.help).replace("%%", "%") for action in parser._actions}
    assert {each.name: each.help for each in parser.settings}.items() <= helps.items()


def test_the_configuration_has_the_settings_and_what_they_resolve_to() -> None:
    own = {each.name for each in settings_of(LabelingConfig)}
    assert own <= set(BY_NAME)
    resolved = {"base_dir", "model", "sampling", "label_thresholds"}
    assert {field.name for field in dataclasses.fields(LabelingConfig)} == own | resolved


def as_json(value: object) -> object:
    """Returns a setting's value as the run's JSON has it."""
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, frozenset):
        return sorted(value)
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    "name", [name for name in BY_NAME if name not in ("inputs", "verbose", "no_wait", "report", "summary_json")]
)
def test_each_flag_sets_its_attribute_and_its_key_in_the_runs_json(name: str) -> None:
    words, value = given(BY_NAME[name])
    model = ["--model=a0-stream"] if name in ("carry_state", "warm_up_seconds") else []
    model += ["--carry_state"] if name == "warm_up_seconds" else []
    room = [f"--decoder_memory_bytes={1 << 45}"] if name != "decoder_memory_bytes" else []
    room += ["--size=8192"] if name == "resize" else []
    made = config(*model, *room, *words)
    assert operator.attrgetter(BY_NAME[name].attribute)(made) == value
    recorded: Any = made.to_json()
    key = name
    if BY_NAME[name].is_nested:
        part, key = BY_NAME[name].attribute.split(".")
        recorded = recorded[part]
    assert (key in recorded) == BY_NAME[name].flag.is_recorded
    if key in recorded:
        assert recorded[key] == as_json(value)


def test_the_runs_json_has_the_recorded_settings_and_nothing_else_but_facts_of_the_model() -> None:
    flat = {name for name, each in BY_NAME.items() if each.flag.is_recorded and not each.is_nested}
    facts = {"num_input_arguments", "model_kind", "model_handle", "thresholds_fingerprint"}
    recorded: Any = config().to_json()
    assert set(recorded) == flat | facts | {"decoder_limits", "skip_rules"}
    for part, kind in (("decoder_limits", DecoderLimits), ("skip_rules", SkipRules)):
        assert set(recorded[part]) == {field.name for field in dataclasses.fields(kind)}


def test_the_flex_template_has_the_settings_with_their_help() -> None:
    metadata: Any = flex_template.metadata()
    parameters = {p["name"]: p for p in metadata["parameters"]}
    left_out = {"no_wait", "report", "summary_json", "videos_per_part", "wait_for_lock"}
    assert {name for name, each in BY_NAME.items() if not each.flag.in_template} == left_out
    for name in set(BY_NAME) - left_out - {"inputs"}:
        assert parameters[name]["helpText"] == BY_NAME[name].help
        assert parameters[name]["isOptional"] == (not BY_NAME[name].is_required)


def test_the_docs_have_a_row_for_each_setting() -> None:
    page = (ROOT / "docs/cli.md").read_text("utf-8")
    for command, make in docs_reference.PARSERS.items():
        rows = docs_reference.flags(command)
        assert rows in page
        own = [each for each in make().settings if command != "plan" or each.name not in BY_NAME]
        assert rows.count("\n| `") == len(own)


# Defaults and texts


def test_a_help_text_is_written_once() -> None:
    sources = [path.read_text("utf-8") for path in [*ROOT.glob("pipeline/**/*.py"), *ROOT.glob("tools/*.py")]]
    constants = (node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    counts = collections.Counter(node.value for node in constants if isinstance(node.value, str))
    texts = [each.flag.help for make in docs_reference.PARSERS.values() for each in make().settings]
    assert {text for text in texts if counts[text] > 1} == set()


def test_the_help_names_the_default_of_the_declaration() -> None:
    assert BY_NAME["top_k"].help == "Number of labels in a row (default: 5)"
    assert BY_NAME["max_pixels"].help.endswith("(default: 8192 x 8192)")
    assert BY_NAME["max_duration_seconds"].help.endswith("(default: 48 hours)")
    assert BY_NAME["save_logits"].help == BY_NAME["save_logits"].flag.help


def test_defaults_of_the_steps_dataclasses_are_theirs() -> None:
    assert (config().decoder_limits, config().skip_rules) == (DecoderLimits(), SkipRules())


def test_the_help_of_the_spool_has_the_default_of_the_spool() -> None:
    (spool_bytes,) = (each for each in settings_of(RemoteSettings) if each.name == "spool_bytes")
    assert byte_text(folder.MAX_BYTES) in spool_bytes.help


# Checks


@pytest.mark.parametrize("name", [name for name, each in BY_NAME.items() if each.range is not None])
def test_a_number_out_of_range_is_refused_with_the_bound(name: str) -> None:
    each = BY_NAME[name]
    assert each.range is not None
    lowest = each.range.lowest - (0 if each.range.is_open else 1)
    for value, bound in ((lowest, each.range.lowest), (each.range.highest + 1, each.range.highest)):
        with pytest.raises(
            ConfigError,
            match=rf"^{each.option} is .+: it must be (at least|at most|above|from) .*{float(bound):g}|{bound}",
        ):
            options.parse_flags([*BASE, f"{each.option}={value}"])
        if name in {own.name for own in settings_of(LabelingConfig)}:
            change: dict[str, Any] = {name: value}
            with pytest.raises(ConfigError, match=f"^{each.option} is "):
                dataclasses.replace(config(), **change)


@pytest.mark.parametrize(
    ("range_", "value", "said"),
    [
        (Range(), 0, "it must be at least 1"),
        (Range(), (1 << 53) + 1, "it must be at most 9007199254740992"),
        (Range(0, 9, is_open=True), 0, "it must be above 0"),
        (Range(0, 9), float("nan"), "it must be at least 0"),
        (Range(0, 1), float("nan"), "x is nan: it must be from 0 to 1"),
        (Range(Fraction(1, 100), 9), Fraction(1, 1000), "x is 0.001: it must be at least 0.01"),
    ],
)
def test_a_range_names_the_bound_that_is_missed(range_: Range, value: float | Fraction, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        range_.require("x", value)
    assert str(caught.value).endswith(said)


# A setting that is new


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kettle:
    """Settings that no command has."""

    water_bytes: int = setting(2 << 20, Flag("Water", "N", Range(1, 1 << 30), show=byte_text))
    lids: tuple[str, ...] = setting((), Flag("Lid; may be repeated", "LID"))
    name: str = required(str, Flag("Name of the kettle", "NAME", is_location=True, hint="--name is on its bottom"))


def kettle(*words: str) -> tuple[Parser, Kettle]:
    parser = make_parser("kettle", "Boil water.", [Group("Kettle", (Kettle,))])
    return parser, from_values(Kettle, vars(parser.parse_args(words)))


def test_a_declaration_is_all_that_a_setting_needs() -> None:
    assert kettle("--name=x")[1] == Kettle(water_bytes=2 << 20, lids=(), name="x")
    parser, made = kettle("--name=x", "--water-bytes", "3", "--lids=a", "--lids", "b")
    assert made == Kettle(water_bytes=3, lids=("a", "b"), name="x")
    water, lids, name = parser.settings
    assert docs_reference._flag_row(water) == ("`--water_bytes N`", "Water (default: 2 MiB)")
    assert docs_reference._flag_row(name) == ("`--name NAME`", "Name of the kettle (required)")
    assert flex_template._parameter(water) == {
        "name": "water_bytes",
        "label": "Water bytes",
        "helpText": "Water (default: 2 MiB)",
        "isOptional": True,
        "regexes": [r"^[0-9]+((\.[0-9]+)? ?[KMGT]iB)?$"],
    }
    with pytest.raises(ConfigError, match="--water_bytes is 0: it must be at least 1"):
        water.require(0)
    with pytest.raises(ConfigError, match="--name is ' ': it must be a name"):
        name.require(" ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3", 3), ("300KiB", 300 << 10), ("2 MiB", 2 << 20), ("1.5mib", 3 << 19), ("0.5 GiB", 1 << 29)],
)
def test_a_number_of_bytes_may_have_a_unit_as_in_the_help(text: str, expected: int) -> None:
    assert kettle("--name=x", "--water_bytes", text)[1].water_bytes == expected
    assert byte_count(byte_text(expected << 10)) == expected << 10


@pytest.mark.parametrize("text", ["", "MiB", "3 MB", "3M", "1.5", "-1 KiB", "1e3KiB", "3 MiB/s"])
def test_what_is_not_a_number_of_bytes_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        kettle("--name=x", f"--water_bytes={text}")
    assert "is not a number of bytes, such as 1000000000 or 14MiB" in capsys.readouterr().err


def test_a_required_setting_that_is_missing_is_refused_with_its_hint(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        kettle()
    assert capsys.readouterr().err == (
        "kettle: error: the following arguments are required: --name (--name is on its bottom); see `kettle --help`\n"
    )
