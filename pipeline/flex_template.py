"""The parameters of Dataflow's Flex Template, and the command line that they make.

`tools/make_flex_template.py` writes templates/dataflow/metadata.json from `metadata`; templates/dataflow/main.py starts
`main` in the launcher's container.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias

from reelbeam.pipeline import cli
from reelbeam.pipeline.settings.declaration import Setting
from reelbeam.pipeline.settings.label_settings import LABEL_SETTINGS

INPUTS = "inputs"
"""The parameter of the positional arguments."""

_INPUTS_HELP = "Files, folders and patterns, separated by spaces; quote those with a space, as in a shell"

_Json: TypeAlias = dict[str, object]

_PLACES: dict[str, _Json] = {
    INPUTS: {"regexes": [r"^['\"]?gs://.+$"]},
    "input_list": {
        "paramType": "GCS_READ_FILE",
        "regexes": [r"^gs://.+\.([tT][xX][tT]|[cC][sS][vV]|[jJ][sS][oO][nN][lL]|[pP][aA][rR][qQ][uU][eE][tT])$"],
    },
    "thresholds": {"paramType": "GCS_READ_FILE", "regexes": [r"^gs://.+\.[jJ][sS][oO][nN]$"]},
    "output": {"paramType": "GCS_WRITE_FOLDER", "regexes": [r"^gs://.+$"]},
}
_DECIMAL = r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
_BYTES = r"^[0-9]+((\.[0-9]+)? ?[KMGT]iB)?$"
_PATTERNS: dict[object, str] = {
    bool: "^([tT]rue|[fF]alse|TRUE|FALSE)$",
    int: r"^[0-9]+$",
    float: f"^{_DECIMAL}$",
    Fraction: f"^({_DECIMAL}|[0-9]+/[0-9]+)$",
}
_BEAM_PARAMETERS = (
    ("sdk_container_image", "Image of the workers: the template's own", r"^\S+$"),
    ("number_of_worker_harness_threads", "Threads of a worker; default: the vCPUs of its machine type", r"^[0-9]+$"),
    ("resource_hints", "For the whole job, such as min_ram=32GB; never for one step", r"^\w+=\S+$"),
)


def metadata() -> _Json:
    """Returns the content of metadata.json, made from the settings of `reelbeam label`."""
    own = [_parameter(each) for each in LABEL_SETTINGS if each.flag.in_template]
    beams = [
        {"name": name, "label": _label(name), "helpText": text, "isOptional": True, "regexes": [regex]}
        for name, text, regex in _BEAM_PARAMETERS
    ]
    return {
        "name": "Reelbeam",
        "description": "Puts MoViNet action labels on a corpus of videos and writes Parquet.",
        "parameters": own + beams,
    }


def _parameter(setting: Setting) -> _Json:
    name = setting.name
    parameter: _Json = {
        "name": name,
        "label": _label(name),
        "helpText": _INPUTS_HELP if name == INPUTS else setting.help,
        "isOptional": not setting.is_required,
    }
    return parameter | _PLACES.get(name, {"regexes": [_pattern(setting)]})


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _pattern(setting: Setting) -> str:
    if setting.choices:
        return f"^({'|'.join(setting.choices)})$"
    if setting.is_bytes:
        return _BYTES
    return r"^.+$" if setting.flag.parse else _PATTERNS.get(setting.kind, r"^.+$")


def to_argv(arguments: Sequence[str]) -> list[str]:
    """Returns the command line for what the launcher passes: `--name=value`, for switches and inputs too.

    >>> to_argv(["--inputs=gs://a/*.mp4 'gs://b/two words.mp4'", "--verbose=true", "--top_k=", "--region=eu"])
    ['--verbose', '--region=eu', 'gs://a/*.mp4', 'gs://b/two words.mp4']
    """
    switches = {each.option for each in LABEL_SETTINGS if each.is_switch}
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
