"""Make the configuration of a run from the flags of `label`."""

from __future__ import annotations

import argparse
import pathlib

from reelbeam.pipeline.flags.command_line import parse_flags
from reelbeam.pipeline.flags.model_flags import to_model_spec, to_sampling
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.pipeline.settings.declaration import from_values
from reelbeam.pipeline.settings.label_settings import LABEL_SETTINGS
from reelbeam.pipeline.settings.model_settings import ClipSettings
from reelbeam.pipeline.settings.values import is_utf8
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.redaction import has_credentials, without_query
from reelbeam.transforms.storage.uris import normalize

__all__ = ["parse_flags", "to_config"]


def to_config(args: argparse.Namespace) -> LabelingConfig:
    """Returns the configuration for the flags of `label`.

    Raises:
      ConfigError: a value is out of range, or flags do not fit each other.
      ModelNotFoundError: `--model` is neither a catalog name, nor a URL, nor an existing folder.
      ModelError: `--model` is a damaged exported folder; or as in `stored_models.fetching.fetch`.
    """
    _require_no_credentials(args)
    spec = to_model_spec(args)
    return from_values(
        LabelingConfig,
        vars(args),
        inputs=tuple(map(_utf8_name, args.inputs)),
        spool_dir=args.spool_dir and str(pathlib.Path(args.spool_dir).resolve()),
        base_dir=str(pathlib.Path.cwd()),
        model=spec,
        sampling=to_sampling(spec, from_values(ClipSettings, vars(args))),
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
    return normalize(given)
