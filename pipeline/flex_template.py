"""What Dataflow's Flex Template says of `reelbeam label`: its parameters, and the way from those to a command line.

`tools/make_flex_template.py` writes templates/dataflow/metadata.json from `metadata`; templates/dataflow/main.py starts
`main` in the launcher's container.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from typing import TypeAlias

from reelbeam.pipeline import cli
from reelbeam.pipeline.flags.definitions import label_parser

INPUTS = "inputs"
"""What the positional arguments are called: a template's parameters all have names."""

_LEFT_OUT = ("help", "no_wait", "summary_json", "videos_per_part", "wait_for_lock")
"""A launcher sends one job and never waits, neither for its end nor for the output's: Dataflow gives up a launcher that
takes long. Its stdout is read by nobody."""

_Json: TypeAlias = dict[str, object]

_PLACES: dict[str, _Json] = {
    INPUTS: {"regexes": [r"^['\"]?gs://.+$"]},
    "input_list": {
        "paramType": "GCS_READ_FILE",
        "regexes": [r"^gs://.+\.([tT][xX][tT]|[cC][sS][vV]|[jJ][sS][oO][nN][lL]|[pP][aA][rR][qQ][uU][eE][tT])$"],
    },
    "output": {"paramType": "GCS_WRITE_FOLDER", "regexes": [r"^gs://.+$"]},
}
_DECIMAL = r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
_PATTERNS = {
    "int": r"^[0-9]+$",
    "float": f"^{_DECIMAL}$",
    "_fraction": f"^({_DECIMAL}|[0-9]+/[0-9]+)$",
}
_BEAM_PARAMETERS = (
    ("sdk_container_image", "Image of the workers: the template's own", r"^\S+$"),
    ("number_of_worker_harness_threads", "Threads of a worker; default: the vCPUs of its machine type", r"^[0-9]+$"),
    ("resource_hints", "For the whole job, such as min_ram=32GB; never for one step", r"^\w+=\S+$"),
)


def metadata() -> _Json:
    """Returns the content of metadata.json, made from the flags of `reelbeam label`."""
    own = [_parameter(action) for action in label_parser()._actions if action.dest not in _LEFT_OUT]
    beams = [
        {"name": name, "label": _label(name), "helpText": text, "isOptional": True, "regexes": [regex]}
        for name, text, regex in _BEAM_PARAMETERS
    ]
    return {
        "name": "Reelbeam",
        "description": "Puts MoViNet action labels on a corpus of videos and writes Parquet.",
        "parameters": own + beams,
    }


def _parameter(action: argparse.Action) -> _Json:
    name = INPUTS if action.dest == INPUTS else action.option_strings[-1].removeprefix("--")
    text = action.help or ""
    if name == INPUTS:
        text = "files, folders and patterns, with spaces between them; quote, as in a shell, one that has a space"
    parameter: _Json = {
        "name": name,
        "label": _label(name),
        "helpText": text,
        "isOptional": name == INPUTS or not action.required,  # there may be an input list instead
    }
    return parameter | _PLACES.get(name, {"regexes": [_pattern(action)]})


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _pattern(action: argparse.Action) -> str:
    if action.nargs == 0:
        return "^([tT]rue|[fF]alse|TRUE|FALSE)$"
    if action.choices is not None:
        return f"^({'|'.join(action.choices)})$"
    return _PATTERNS.get(getattr(action.type, "__name__", ""), r"^.+$")


def to_argv(arguments: Sequence[str]) -> list[str]:
    """Returns the command line for what the launcher passes: `--name=value`, for switches and inputs too.

    >>> to_argv(["--inputs=gs://a/*.mp4 'gs://b/two words.mp4'", "--verbose=true", "--top_k=", "--region=eu"])
    ['--verbose', '--region=eu', 'gs://a/*.mp4', 'gs://b/two words.mp4']
    """
    switches = {action.option_strings[-1] for action in label_parser()._actions if action.nargs == 0}
    flags: list[str] = []
    inputs: list[str] = []
    for name, value in map(_split, arguments):
        if name == f"--{INPUTS}":
            inputs += shlex.split(value or "")
        elif name in switches and value is not None:
            flags += [name] * (value.lower() == "true")
        elif value != "":
            flags.append(name if value is None else f"{name}={value}")
    return flags + inputs


def _split(argument: str) -> tuple[str, str | None]:
    name, equals, value = argument.partition("=")
    return name, value if equals else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the job down for the launcher, which submits it; returns the exit code of `reelbeam label`."""
    return cli.main(["label", *to_argv(sys.argv[1:] if arguments is None else arguments)])
