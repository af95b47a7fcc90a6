"""From a command line to a configuration. Beam is imported only to run.

`reelbeam label` takes its own flags and every flag of Beam. Both sets are checked: a flag that neither knows is an
error, where Beam alone would drop it with a warning.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import difflib
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any, Literal

from reelbeam.pipeline.flags.beam_parser import beam_parser, flag_names, split_words
from reelbeam.pipeline.flags.definitions import label_parser
from reelbeam.pipeline.settings import bounds
from reelbeam.pipeline.settings.config import LabelingConfig, is_utf8, require_name
from reelbeam.transforms.errors import ConfigError, ModelNotFoundError, NotASavedModelError
from reelbeam.transforms.media.limits import DecoderLimits
from reelbeam.transforms.media.sampling.clips import ClipSampling
from reelbeam.transforms.models.engines.stream import is_stream_model
from reelbeam.transforms.models.registry import catalog, resolver
from reelbeam.transforms.models.registry.manifest import is_exported, pin, read_manifest, require_pin
from reelbeam.transforms.records import SkipRules
from reelbeam.transforms.redaction import has_credentials, without_query

_MODELS = (
    "pass a catalog name (`reelbeam models` lists them), a URL, an address in an object store, the folder of a "
    "SavedModel or of an exported model, or an archive of one (.tar.gz, .tar, .zip)"
)
_PRESET_FLAGS = ("num_frames", "target_fps", "resize", "size")


def parse_label_flags(
    argv: Sequence[str], parser: argparse.ArgumentParser | None = None
) -> tuple[argparse.Namespace, list[str]]:
    """Splits a command line into Reelbeam's flags, parsed, and Beam's, as they are; those of `label` by default.

    Exits with 2, as argparse does, where a flag is neither's; raises ConfigError where a number is absurd.
    """
    parser = parser or label_parser()
    if {"-h", "--help"} & set(argv):
        parser.parse_args(["--help"])  # prints and exits, without the seconds that importing Beam takes
    own_flags = flag_names(parser)
    theirs = beam_parser(own_flags, parser.prog)
    beams, ours = split_words(argv, theirs)
    theirs.parse_args(beams)  # exits where a value is wrong
    args, unknown = parser.parse_known_intermixed_args(ours)
    if unknown:
        near = difflib.get_close_matches(unknown[0].split("=")[0], own_flags | flag_names(theirs), n=1)
        parser.error(f"unrecognized arguments: {' '.join(unknown)}" + (f" (did you mean {near[0]}?)" if near else ""))
    bounds.check(vars(args))
    return args, beams


def to_config(args: argparse.Namespace) -> LabelingConfig:
    """Returns the configuration that the flags ask for.

    Raises:
      ConfigError: a value is out of range, or flags do not go together.
      ModelNotFoundError: `--model` is neither a catalog name, nor a URL, nor an existing folder.
      ModelError: `--model` is a folder that was exported, and is damaged; or as `stored_models.fetch`.
    """
    _require_no_credentials(args)
    spec = to_model_spec(args)
    try:
        sampling = ClipSampling(
            num_frames=spec.preset.num_frames,
            target_fps=spec.preset.target_fps,
            clip_stride_seconds=args.clip_stride_seconds,
            clips_per_video=args.clips_per_video,
            tail_policy=args.tail_policy,
            kind=_sampled_kind(spec, args),
            warm_up_seconds=args.warm_up_seconds,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return LabelingConfig(
        output=args.output,
        inputs=tuple(map(_utf8_name, args.inputs)),
        input_list=args.input_list,
        base_dir=str(pathlib.Path.cwd()),
        model=spec,
        engine=args.engine,
        sampling=sampling,
        top_k=args.top_k,
        min_score=args.min_score,
        max_failure_ratio=args.max_failure_ratio,
        max_video_bytes=args.max_video_bytes,
        decoder_limits=DecoderLimits(
            memory_bytes=args.decoder_memory_bytes,
            deadline_seconds=args.decode_deadline_seconds,
            max_pixels=args.max_pixels,
            max_duration_seconds=args.max_duration_seconds,
            allow_unconfined=args.allow_unconfined_decoder,
        ),
        spool_dir=args.spool_dir and str(pathlib.Path(args.spool_dir).resolve()),
        spool_bytes=args.spool_bytes,
        num_threads=args.num_threads,
        precision=args.precision,
        max_batch_bytes=args.max_batch_bytes,
        save_logits=args.save_logits,
        save_embeddings=args.save_embeddings,
        skip_rules=SkipRules(
            max_attempts=args.max_attempts,
            retry_failed=frozenset(code for codes in args.retry_failed for code in codes),
            force=args.force,
            shard=args.shard,
            limit=args.limit,
            since=args.since,
        ),
        videos_per_part=args.videos_per_part,
        wait_for_lock=args.wait_for_lock,
    )


def _require_no_credentials(args: argparse.Namespace) -> None:
    for flag in ("inputs", "output", "input_list", "model", "labels"):
        values = getattr(args, flag) or ()
        for value in [values] if isinstance(values, str) else values:
            if has_credentials(value):
                raise ConfigError(
                    f"{without_query(value)} was given with a user name or a password: remove it, and give the "
                    "credentials by the environment or by Beam's flags"
                )


def to_model_spec(args: argparse.Namespace) -> catalog.ModelSpec:
    """Returns the catalog's model with the flags' changes, or a model of one's own made from flags alone.

    A model in an object store is fetched: only its files tell what it is.
    """
    require_name("--model", args.model)
    require_name("--labels", args.labels)
    given = {name: getattr(args, name) for name in _PRESET_FLAGS if getattr(args, name) is not None}
    labels = (
        "package:reelbeam.transforms.models/labels/kinetics_600.txt" if args.labels == "kinetics-600" else args.labels
    )
    folder = _folder(args.model)
    known = _known_model(args.model, folder)
    if known is None:
        missing = [name for name in (*_PRESET_FLAGS, "labels") if name not in given and not getattr(args, name)]
        if missing:
            if folder is not None:
                resolver.resolve(str(folder))  # raises where no model is in it: flags would not help
            flags = ", ".join(f"--{name}" for name in missing)
            raise ConfigError(f"--model {args.model} is not in the catalog: it needs {flags} as well")
        spec = catalog.ModelSpec(args.model, _kind(folder), str(folder or args.model), labels, _preset(given))
    else:
        preset = _preset({name: getattr(known.preset, name) for name in _PRESET_FLAGS} | given)
        spec = dataclasses.replace(known, labels=labels or known.labels, preset=preset)
    if args.output_activation != "auto":
        spec = dataclasses.replace(spec, output_activation=args.output_activation)
    wanted = _fingerprint(args.model_fingerprint)
    if folder is None or not resolver.is_stored(args.model):
        return dataclasses.replace(spec, pin=wanted)
    require_pin(folder, wanted, without_query(args.model))
    return dataclasses.replace(spec, handle=args.model.rstrip("/"), pin=pin(folder))


def _utf8_name(given: str) -> str:
    """Returns an input as text: a local name of other bytes as file:// with these percent-encoded, as rows name it."""
    if is_utf8(given):
        return given
    from reelbeam.transforms import storage  # imports Beam

    return storage.normalize(given)


def _fingerprint(given: str | None) -> str | None:
    if given is None or re.fullmatch("[0-9a-f]{64}", given.lower()):
        return given and given.lower()
    raise ConfigError(f"--model_fingerprint {given}: 64 hexadecimal digits are wanted, as in a run's JSON")


def _folder(model: str) -> pathlib.Path | None:
    """Returns the local folder of a model that is a folder or an archive, here or in a store; None for any other."""
    if resolver.is_stored(model):
        from reelbeam.transforms import stored_models  # imports Beam

        return stored_models.fetch(model)
    if "://" in model:
        return None
    path = pathlib.Path(model).resolve()
    if path.is_file() and model not in catalog.CATALOG:
        return resolver.resolve(str(path))  # an archive is unpacked; of any other file it is said what it is
    return path if path.is_dir() else None


def _known_model(name: str, folder: pathlib.Path | None) -> catalog.ModelSpec | None:
    """Returns the model that an exported folder or the catalog describes; None for one that flags must describe."""
    if folder is not None and is_exported(folder):
        return read_manifest(folder).to_spec(folder)
    try:
        return catalog.find(name)
    except ModelNotFoundError:
        if folder is not None or "://" in name:
            return None
        near = [] if os.sep in name else catalog.nearest(name)
        question = f"did you mean {' or '.join(near)}? Or " if near else ""
        raise ModelNotFoundError(f"--model {name}: {_what_is_missing(name)}; {question}{_MODELS}") from None


def _what_is_missing(name: str) -> str:
    """Says what is not there, or in the way, at the path that is a model's name."""
    path = pathlib.Path(name).expanduser().resolve()
    there = next(folder for folder in path.parents if folder.exists())
    if not there.is_dir():
        return f"{there} is a file, not a folder"
    unknown = "" if os.sep in name else f"no model is called {name!r}, and "
    return f"{unknown}no file or folder is at {path}"


def _sampled_kind(spec: catalog.ModelSpec, args: argparse.Namespace) -> Literal["base", "stream"]:
    """Returns the model's kind; what flags say of it where a URL tells it only once it was fetched."""
    is_unknown = "://" in spec.handle and not resolver.is_stored(spec.handle) and spec.name not in catalog.CATALOG
    says_stream = args.warm_up_seconds is not None or args.tail_policy == "keep"
    return "stream" if is_unknown and says_stream else spec.kind


def _kind(folder: pathlib.Path | None) -> Literal["base", "stream"]:
    # A textual or damaged graph is left to the engine, which says what is wrong with it.
    with contextlib.suppress(NotASavedModelError):
        if folder is not None and is_stream_model(folder):
            return "stream"
    return "base"


def _preset(values: dict[str, Any]) -> catalog.Preset:
    try:
        return catalog.Preset(**values)
    except ValueError as error:
        raise ConfigError(str(error)) from error
