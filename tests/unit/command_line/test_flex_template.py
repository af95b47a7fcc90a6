"""The Flex Template: its checked-in files are up to date, and its parameters give the right command."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from reelbeam.pipeline import flex_template
from reelbeam.pipeline.flags import options
from reelbeam.pipeline.settings.label_settings import LABEL_SETTINGS
from tools.make_flex_template import TEMPLATES, files

METADATA: dict[str, Any] = flex_template.metadata()
PARAMETERS: dict[str, dict[str, Any]] = {p["name"]: p for p in METADATA["parameters"]}


@pytest.mark.parametrize("name", files())
def test_the_checked_in_file_is_what_is_generated(name: str) -> None:
    assert (TEMPLATES / name).read_text("utf-8") == files()[name], "run: python -m tools.make_flex_template"


def test_the_parameters_are_those_of_the_checked_in_file() -> None:
    checked_in = json.loads((TEMPLATES / "metadata.json").read_text("utf-8"))
    assert {p["name"]: p for p in checked_in["parameters"]} == PARAMETERS
    beams = {"sdk_container_image", "number_of_worker_harness_threads", "resource_hints"}
    assert set(PARAMETERS) - beams == {each.name for each in LABEL_SETTINGS if each.flag.in_template}


GOOD = {
    "inputs": ["gs://b/*.mp4", "'gs://b/two words.mp4' gs://c/x.mp4"],
    "input_list": ["gs://b/l.csv", "gs://b/L.TXT"],
    "output": ["gs://b", "gs://b/labels/"],
    "engine": ["auto", "openvino", "tensorflow"],
    "top_k": ["5"],
    "min_score": ["0", "0.05", ".5", "1.", "1e-3"],
    "target_fps": ["5", "12.5", ".5", "3e1", "30000/1001"],
    "verbose": ["true", "false", "True", "FALSE"],
    "number_of_worker_harness_threads": ["8"],
    "resource_hints": ["min_ram=16GB"],
}
BAD = {
    "inputs": ["/home/a.mp4", "s3://b/x"],
    "input_list": ["gs://b/l", "list.txt"],
    "output": ["labels", "gs://"],
    "engine": ["onnx", "autos"],
    "top_k": ["-1", "five", ""],
    "min_score": ["much", "-1", ".", ""],
    "target_fps": ["5/", "a/b", "1/2e1", "."],
    "verbose": ["yes"],
}


@pytest.mark.parametrize("name", GOOD)
def test_patterns_take_what_the_flags_take(name: str) -> None:
    (pattern,) = PARAMETERS[name]["regexes"]
    for value in GOOD[name]:
        assert re.fullmatch(pattern, value), value
        places = {"inputs": "gs://b/a.mp4", "output": "gs://b/o", "model": "demo"} | {name: value}
        argv = flex_template.to_argv([f"--{key}={text}" for key, text in places.items()])
        options.to_config(options.parse_flags(argv)[0])
    for value in BAD.get(name, []):
        assert not re.fullmatch(pattern, value), value


def test_what_the_launcher_passes_becomes_the_command() -> None:
    given = [
        "--inputs=gs://a/*.mp4 'gs://b/two words.mp4'",
        "--output=gs://o",
        "--verbose=true",
        "--top_k=",
        "--model=demo",
    ]
    beams = ["--runner=DataflowRunner", "--template_location=gs://staging/job_object", "--sdk_container_image=I"]
    args, beam_flags = options.parse_flags(flex_template.to_argv([*given, *beams]))
    assert args.inputs == ["gs://a/*.mp4", "gs://b/two words.mp4"]
    assert (args.output, args.verbose, args.top_k, args.model) == ("gs://o", True, 5, "demo")
    assert beam_flags == beams


def test_a_switch_that_is_off_is_left_out() -> None:
    assert flex_template.to_argv(["--verbose=false", "--output=o"]) == ["--output=o"]
