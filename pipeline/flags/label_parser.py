"""The parser of `reelbeam label`. It imports nothing slow, so that `--help` is quick."""

from __future__ import annotations

from reelbeam.pipeline.flags.parser import Parser, make_parser
from reelbeam.pipeline.settings.label_settings import LABEL_GROUPS

_EPILOG = (
    "Example: reelbeam {} ~/videos --model a0-base --output ~/labels. Every flag of Beam passes through: --runner, "
    "--temp_location, --direct_num_workers, … Exit codes: 0 done, 1 the job failed, 2 bad flags, 3 too many inputs "
    "failed, 5 the output is in use."
)


def epilog(command: str) -> str:
    """Returns the last paragraph of the help of `label` or `plan`."""
    return _EPILOG.format(command)


def label_parser() -> Parser:
    """Returns the parser of `reelbeam label`'s own flags."""
    return make_parser(
        "reelbeam label", "Label videos and write the videos, clips and errors tables.", LABEL_GROUPS, epilog("label")
    )
