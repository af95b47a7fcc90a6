"""The flags: what they are called, what they mean, and the way to a configuration. Beam is imported only to run.

`reelbeam label` takes its own flags and every flag of Beam. Both sets are checked: a flag that neither knows is an
error, where Beam alone would drop it with a warning.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import pathlib
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from pipeline.config import MAX_VIDEO_BYTES, LabelingConfig
from transforms.errors import ConfigError, ModelNotFoundError, NotASavedModelError
from transforms.media.limits import DEFAULT_LIMITS, DecoderLimits
from transforms.media.sampling import ClipSampling
from transforms.models import catalog
from transforms.models.manifest import is_exported, read_manifest
from transforms.models.stream import is_stream_model

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

LOCAL_RUNNERS = ("DirectRunner", "FnApiRunner")
_FN_API_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
_PRESET_FLAGS = ("num_frames", "target_fps", "resize", "size")


def add_label_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `reelbeam label`."""
    what = parser.add_argument_group("what to label")
    what.add_argument("inputs", nargs="*", metavar="INPUT", help="video file, folder, or pattern (quote it)")
    what.add_argument(
        "--input_list",
        metavar="FILE",
        help="txt (a URI a line), csv, jsonl or parquet with a video_uri column; further columns are kept as metadata",
    )
    what.add_argument("--output", metavar="DIR", required=True, help="folder or object-store prefix of the tables")

    model = parser.add_argument_group("model")
    model.add_argument(
        "--model",
        default="demo",
        help="catalog name (see `reelbeam models`), URL, SavedModel folder, or exported folder; default demo",
    )
    add_preset_flags(model)
    model.add_argument(
        "--engine",
        choices=("auto", "openvino", "tensorflow"),
        default="auto",
        help="auto: tensorflow where a GPU or TPU is visible, else openvino",
    )
    model.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="arithmetic of the model; bfloat16 is for openvino on CPUs that have it; default float32",
    )
    model.add_argument("--num_threads", type=int, metavar="N", help="threads of the model; default: all cores")

    clips = parser.add_argument_group("clips")
    clips.add_argument(
        "--clip_stride_seconds", type=_fraction, metavar="S", help="from clip start to clip start; default: no gap"
    )
    clips.add_argument("--clips_per_video", type=int, metavar="K", help="at most K clips, evenly spread")
    clips.add_argument(
        "--tail_policy",
        choices=("shift_back", "repeat_last", "drop"),
        default="shift_back",
        help="the rest that is shorter than a clip: move the clip back (a short video loops), hold the last frame, "
        "or leave it out; default shift_back",
    )

    limits = parser.add_argument_group("limits of one video: what goes over costs a row")
    limits.add_argument(
        "--max_video_bytes", type=int, default=MAX_VIDEO_BYTES, metavar="N", help="size of a file; default 50 GiB"
    )
    limits.add_argument(
        "--max_pixels",
        type=int,
        default=DEFAULT_LIMITS.max_pixels,
        metavar="N",
        help="of a picture; default 8192 x 8192",
    )
    limits.add_argument(
        "--max_duration_seconds",
        type=float,
        default=DEFAULT_LIMITS.max_duration_seconds,
        metavar="S",
        help="of a video; default 48 hours",
    )
    limits.add_argument(
        "--decoder_memory_bytes",
        type=int,
        default=DEFAULT_LIMITS.memory_bytes,
        metavar="N",
        help="memory of a decoder process, of which there is one a thread; default 2 GiB",
    )
    limits.add_argument(
        "--decode_deadline_seconds",
        type=float,
        default=DEFAULT_LIMITS.deadline_seconds,
        metavar="S",
        help="how long the decoder may keep the model waiting over a segment, on top of 5 x its duration; default 60",
    )

    parser.add_argument("--verbose", action="store_true", help="show the logs of Beam and of the engines")

    rows = parser.add_argument_group("rows")
    rows.add_argument("--top_k", type=int, default=5, metavar="K", help="labels of a row; default 5")
    rows.add_argument("--min_score", type=float, default=0.0, metavar="S", help="leave out lower scores; default 0")
    rows.add_argument(
        "--max_failure_ratio",
        type=float,
        default=0.5,
        metavar="R",
        help="commit nothing and exit with 3 if more of the inputs fail; default 0.5",
    )


def add_preset_flags(parser: argparse._ActionsContainer) -> None:
    """Adds the flags that say what a model was trained on."""
    parser.add_argument("--labels", metavar="FILE", help="one label a line, by class id; or kinetics-600")
    parser.add_argument("--num_frames", type=int, metavar="N", help="frames of a clip")
    parser.add_argument("--target_fps", type=_fraction, metavar="R", help="frames a second: 5, 12.5 or 30000/1001")
    parser.add_argument("--resize", type=int, metavar="PX", help="short side of the picture after scaling")
    parser.add_argument("--size", type=int, metavar="PX", help="side of the square cut from its centre")


def label_parser(prog: str = "reelbeam label") -> argparse.ArgumentParser:
    """Returns the parser of `reelbeam label`'s own flags."""
    parser = argparse.ArgumentParser(
        prog=prog,
        allow_abbrev=False,
        description="Label videos and write the videos, clips and errors tables.",
        epilog="Every flag of Beam passes through: --runner, --temp_location, --direct_num_workers, … "
        "Exit codes: 0 done, 1 the job failed, 2 bad flags, 3 too many inputs failed.",
    )
    add_label_flags(parser)
    return parser


def parse_label_flags(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Splits a command line into Reelbeam's flags, parsed, and Beam's, as they are.

    Exits with 2, as argparse does, where a flag is neither's.
    """
    parser = label_parser()
    if {"-h", "--help"} & set(argv):
        parser.parse_args(["--help"])  # prints and exits, without the seconds that importing Beam takes
    own_flags = {name for action in parser._actions for name in action.option_strings}
    tokens = [_Token(token) for token in argv]
    _, ours = _beam_parser(own_flags).parse_known_args(tokens)
    taken = {id(token) for token in ours}
    args, unknown = parser.parse_known_intermixed_args(ours)
    if unknown:
        near = difflib.get_close_matches(unknown[0].split("=")[0], own_flags, n=1)
        parser.error(f"unrecognized arguments: {' '.join(unknown)}" + (f" (did you mean {near[0]}?)" if near else ""))
    return args, [str(token) for token in tokens if id(token) not in taken]


def to_config(args: argparse.Namespace) -> LabelingConfig:
    """Returns the configuration that the flags ask for.

    Raises:
      ConfigError: a value is out of range, or flags do not go together.
      ModelNotFoundError: `--model` is neither a catalog name, nor a URL, nor an existing folder.
      ModelError: `--model` is a folder that was exported, and is damaged.
    """
    spec = to_model_spec(args)
    try:
        sampling = ClipSampling(
            num_frames=spec.preset.num_frames,
            target_fps=spec.preset.target_fps,
            clip_stride_seconds=args.clip_stride_seconds,
            clips_per_video=args.clips_per_video,
            tail_policy=args.tail_policy,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return LabelingConfig(
        output=args.output,
        inputs=tuple(args.inputs),
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
        ),
        num_threads=args.num_threads,
        precision=args.precision,
    )


def to_model_spec(args: argparse.Namespace) -> catalog.ModelSpec:
    """Returns the catalog's model with the flags' changes, or a model of one's own made from flags alone."""
    given = {name: getattr(args, name) for name in _PRESET_FLAGS if getattr(args, name) is not None}
    labels = "package:transforms.models/labels/kinetics_600.txt" if args.labels == "kinetics-600" else args.labels
    try:
        known = _known_model(args.model)
    except ModelNotFoundError:
        if "://" not in args.model and not pathlib.Path(args.model).is_dir():
            raise
        missing = [name for name in (*_PRESET_FLAGS, "labels") if name not in given and not getattr(args, name)]
        if missing:
            flags = ", ".join(f"--{name}" for name in missing)
            raise ConfigError(f"--model {args.model} is not in the catalog: it needs {flags} as well") from None
        handle = args.model if "://" in args.model else str(pathlib.Path(args.model).resolve())
        return catalog.ModelSpec(args.model, _kind(handle), handle, labels, _preset(given))
    defaults = {name: getattr(known.preset, name) for name in _PRESET_FLAGS}
    return catalog.ModelSpec(
        known.name,
        known.kind,
        known.handle,
        labels or known.labels,
        _preset(defaults | given),
        known.gflops,
        known.top1_percent,
    )


def _known_model(name: str) -> catalog.ModelSpec:
    folder = pathlib.Path(name)
    if is_exported(folder):
        return read_manifest(folder).to_spec(folder.resolve())
    return catalog.find(name)


def _kind(handle: str) -> Literal["base", "stream"]:
    # A textual or damaged graph is left to the engine, which says what is wrong with it.
    with contextlib.suppress(NotASavedModelError):
        if "://" not in handle and is_stream_model(pathlib.Path(handle)):
            return "stream"
    return "base"


def to_beam_options(beam_flags: Sequence[str]) -> PipelineOptions:
    """Returns Beam's options; the local runner is Beam's FnApiRunner with a thread per core, whatever is installed.

    Beam's own "DirectRunner" tries to download another runner first and falls back, so one command would run on
    different engines with and without a network.

    Raises:
      ConfigError: `--direct_running_mode=multi_processing`, which hangs for ever when a worker dies.
    """
    from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions

    options = PipelineOptions(list(beam_flags))
    standard = options.view_as(StandardOptions)
    if standard.runner in (None, *LOCAL_RUNNERS, _FN_API_RUNNER):
        standard.runner = _FN_API_RUNNER
        direct = options.view_as(DirectOptions)
        if direct.direct_running_mode == "multi_processing":
            raise ConfigError("--direct_running_mode=multi_processing hangs when a worker dies: leave the flag out")
        if not any(flag.startswith("--direct_num_workers") for flag in beam_flags) or not direct.direct_num_workers:
            direct.direct_num_workers = len(os.sched_getaffinity(0))
        direct.direct_running_mode = "multi_threading"
    return options


def is_local(options: PipelineOptions) -> bool:
    """Whether the workers are threads of this process."""
    from apache_beam.options.pipeline_options import StandardOptions

    return options.view_as(StandardOptions).runner == _FN_API_RUNNER


def _preset(values: dict[str, Any]) -> catalog.Preset:
    try:
        return catalog.Preset(**values)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _fraction(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number such as 5, 12.5 or 30000/1001") from error


def _beam_parser(own_flags: set[str]) -> argparse.ArgumentParser:
    """A parser of every flag that Beam has, but for names that Reelbeam uses itself (Dataflow's --labels)."""
    from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser

    class BeamFlags(_BeamArgumentParser):
        def add_argument(self, *names: Any, **kwargs: Any) -> Any:
            return None if own_flags & set(names) else super().add_argument(*names, **kwargs)

    parser = BeamFlags(allow_abbrev=False, add_help=False)
    for options in {str(cls): cls for cls in PipelineOptions.__subclasses__()}.values():
        options._add_argparse_args(parser)
    return parser


class _Token(str):
    """One word of the command line: two words that read the same are still two objects."""
