"""Parse the flags of a command, and make the configuration of a run from them.

A command takes its own flags and every flag of Beam. Both sets are checked: an unknown flag is an error. Beam alone
would only warn of it.
"""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Sequence

from reelbeam.pipeline.flags import spelling
from reelbeam.pipeline.flags.beam_parser import beam_parser, split_arguments
from reelbeam.pipeline.flags.label_parser import label_parser
from reelbeam.pipeline.flags.model_flags import sampled_kind, to_model_spec
from reelbeam.pipeline.flags.parser import Parser, flag_names
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.pipeline.settings.declaration import from_values
from reelbeam.pipeline.settings.label_settings import LABEL_SETTINGS
from reelbeam.pipeline.settings.model_settings import ClipSettings
from reelbeam.pipeline.settings.values import is_utf8
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.redaction import has_credentials, without_query


def parse_flags(argv: Sequence[str], parser: Parser | None = None) -> tuple[argparse.Namespace, list[str]]:
    """Splits a command line into the flags of a command, which it parses, and Beam's, which it returns unchanged.

    Exits with 2, as argparse does, for an unknown flag.

    Args:
      argv: the command line after the command's name.
      parser: the parser of the command; None: that of `label`.

    Raises:
      ConfigError: a value is out of range, or a blank name.
    """
    parser = parser or label_parser()
    if {"-h", "--help"} & set(argv):
        parser.parse_args(["--help"])  # prints and exits before Beam is imported, which takes seconds
    own_flags = flag_names(parser)
    theirs = beam_parser(own_flags, parser.prog)
    known = own_flags | flag_names(theirs)
    beams, ours = split_arguments(spelling.respelled(argv, known), theirs)
    theirs.parse_args(beams)  # exits if a value is wrong
    args, unknown = parser.parse_known_intermixed_args(ours)
    if unknown:
        near = spelling.nearest(unknown[0], known)
        parser.error(f"unrecognized arguments: {' '.join(unknown)}" + (f" (did you mean {near}?)" if near else ""))
    for each in parser.settings:
        each.require(getattr(args, each.name))
    return args, beams


def to_config(args: argparse.Namespace) -> LabelingConfig:
    """Returns the configuration for the flags of `label`.

    Raises:
      ConfigError: a value is out of range, or flags do not fit each other.
      ModelNotFoundError: `--model` is neither a catalog name, nor a URL, nor an existing folder.
      ModelError: `--model` is a damaged exported folder; or as in `stored_models.fetching.fetch`.
    """
    _require_no_credentials(args)
    spec, clips = to_model_spec(args), from_values(ClipSettings, vars(args))
    try:
        sampling = ClipSampling(
            num_frames=spec.preset.num_frames,
            target_fps=spec.preset.target_fps,
            kind=sampled_kind(spec, clips),
            **vars(clips),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return from_values(
        LabelingConfig,
        vars(args),
        inputs=tuple(map(_utf8_name, args.inputs)),
        spool_dir=args.spool_dir and str(pathlib.Path(args.spool_dir).resolve()),
        base_dir=str(pathlib.Path.cwd()),
        model=spec,
        sampling=sampling,
    )


def _require_no_credentials(args: argparse.Namespace) -> None:
    for each in LABEL_SETTINGS:
        given = getattr(args, each.name) if each.flag.is_location else None
        for value in [given] if isinstance(given, str) else given or ():
            if has_credentials(value):
                raise ConfigError(
                    f"{without_query(value)} was given with a user name or a password: remove it, and give the "
                    "credentials by the environment or by Beam's flags"
                )


def _utf8_name(given: str) -> str:
    """Returns an input as UTF-8. A local name that is not UTF-8 becomes a file:// URI, as in rows."""
    if is_utf8(given):
        return given
    from reelbeam.transforms import storage  # imports Beam

    return storage.normalize(given)
