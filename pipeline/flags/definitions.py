"""The flags of `reelbeam label`: their names and their meaning. Imports nothing slow: `--help` is to be quick."""

from __future__ import annotations

import argparse
import datetime
import difflib
from fractions import Fraction

from reelbeam.pipeline.flags.parser import Parser
from reelbeam.pipeline.settings.config import MAX_BATCH_BYTES, MAX_VIDEO_BYTES
from reelbeam.transforms.errors import error_classes
from reelbeam.transforms.media.limits import DEFAULT_LIMITS
from reelbeam.transforms.records import ALL_CODES
from reelbeam.transforms.records.exact_numbers import parse_exact


def add_label_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `reelbeam label`."""
    what = parser.add_argument_group("what to label")
    what.add_argument("inputs", nargs="*", metavar="INPUT", help="video file, folder, or pattern (quote it)")
    what.add_argument(
        "--input_list",
        metavar="FILE",
        help="txt (a URI a line), csv, jsonl or parquet with a video_uri column; start_seconds and end_seconds label a "
        "range; further columns are kept as metadata",
    )
    what.add_argument("--output", metavar="DIR", required=True, help="folder or object-store prefix of the tables")

    model = parser.add_argument_group("model")
    model.add_argument(
        "--model",
        metavar="NAME",
        required=True,
        help="catalog name (see `reelbeam models`), URL, or the folder, here or in an object store, of a SavedModel or "
        "of an exported model; a0-base is the smallest for real videos",
    )
    add_preset_flags(model)
    model.add_argument(
        "--engine",
        choices=("auto", "openvino", "tensorflow"),
        default="auto",
        help="auto: tensorflow where a GPU or TPU is visible, else openvino; on a cluster openvino",
    )
    model.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="arithmetic of the model; bfloat16 is for openvino on CPUs that have it; default float32",
    )
    model.add_argument(
        "--max_batch_bytes",
        type=int,
        default=MAX_BATCH_BYTES,
        metavar="N",
        help="pixels that the model is given at once, at least one clip; default 64 MiB",
    )
    model.add_argument("--num_threads", type=int, metavar="N", help="threads of the model; default: all cores")

    clips = parser.add_argument_group("clips")
    clips.add_argument(
        "--clip_stride_seconds", type=_fraction, metavar="S", help="from clip start to clip start; default: no gap"
    )
    clips.add_argument("--clips_per_video", type=int, metavar="K", help="at most K clips, evenly spread")
    clips.add_argument(
        "--tail_policy",
        choices=("shift_back", "repeat_last", "drop", "keep"),
        help="the rest that is shorter than a clip: move the clip back (a short video loops), hold the last frame, "
        "or leave it out; default shift_back. Stream models: keep it as a short clip (the default), or drop",
    )
    clips.add_argument(
        "--warm_up_seconds",
        type=_fraction,
        metavar="S",
        help="how much a Stream model sees before it restarts within a video; default 20",
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
    limits.add_argument(
        "--allow_unconfined_decoder",
        action="store_true",
        help="run even where the system has neither seccomp filters nor Landlock; hostile videos can then read files",
    )

    remote = parser.add_argument_group("videos of object stores")
    remote.add_argument(
        "--spool_dir", metavar="DIR", help="local disk that they pass through; default: the folder for temporary files"
    )
    remote.add_argument(
        "--spool_bytes",
        type=int,
        metavar="N",
        help="how much of them a process keeps there; default 20 GiB, or 0.8 of what is free if that is less",
    )

    add_night_flags(parser.add_argument_group("incremental runs: which videos are processed"))
    parser.add_argument("--verbose", action="store_true", help="show the logs of Beam and of the engines")
    parser.add_argument(
        "--no_wait", action="store_true", help="submit the job and return: it commits its run by itself; not locally"
    )
    parser.add_argument(
        "--summary_json", action="store_true", help="end with one line of JSON on stdout: how it ended, counts, paths"
    )

    rows = parser.add_argument_group("rows")
    rows.add_argument("--top_k", type=int, default=5, metavar="K", help="labels of a row; default 5")
    rows.add_argument("--min_score", type=float, default=0.0, metavar="S", help="leave out lower scores; default 0")
    rows.add_argument("--save_logits", action="store_true", help="clip rows get the logits, float16")
    rows.add_argument(
        "--save_embeddings",
        action="store_true",
        help="clip rows get the activations before the classifier, float16 (2048 of a MoViNet)",
    )
    rows.add_argument(
        "--max_failure_ratio",
        type=float,
        default=0.5,
        metavar="R",
        help="commit nothing and exit with 3 if more of the inputs fail; default 0.5",
    )


def add_night_flags(night: argparse._ActionsContainer) -> None:
    """Adds the flags that say which of the listed videos are labeled, and how runs on one output get along."""
    night.add_argument("--force", action="store_true", help="label everything again, whatever the output holds")
    night.add_argument(
        "--max_attempts",
        type=int,
        default=3,
        metavar="N",
        help="runs that try a video whose failure may pass (storage, time-out); default 3",
    )
    night.add_argument(
        "--retry_failed",
        type=_codes,
        action="append",
        default=[],
        metavar="CODE",
        help="try again what failed with this error code before; a list a,b or `all`; may be repeated",
    )
    night.add_argument(
        "--shard", type=_shard, metavar="I/N", help="only the I-th of N shares of the videos, 1/N to N/N, by a hash"
    )
    night.add_argument(
        "--limit", type=int, metavar="N", help="maximum number of videos to label; the next run labels further ones"
    )
    night.add_argument(
        "--since",
        type=parse_time,
        metavar="TIME",
        help="only files modified since: 2026-01-31 (UTC), 2026-01-31T06:00+02:00",
    )
    night.add_argument(
        "--videos_per_part",
        type=int,
        metavar="N",
        help="commit in parts of N videos; 0: all at once; default 5000, on a cluster 0",
    )
    night.add_argument(
        "--wait_for_lock", action="store_true", help="wait while another run writes to the output; default: exit with 5"
    )


def add_preset_flags(parser: argparse._ActionsContainer) -> None:
    """Adds the flags that say what a model was trained on."""
    parser.add_argument(
        "--labels", metavar="FILE", help="one label a line, by class id, here or in an object store; or kinetics-600"
    )
    parser.add_argument("--num_frames", type=int, metavar="N", help="frames of a clip")
    parser.add_argument("--target_fps", type=_fraction, metavar="R", help="frames a second: 5, 12.5 or 30000/1001")
    parser.add_argument("--resize", type=int, metavar="PX", help="short side of the picture after scaling")
    parser.add_argument("--size", type=int, metavar="PX", help="side of the square cut from its centre")
    parser.add_argument(
        "--output_activation",
        choices=("auto", "logits", "softmax", "sigmoid"),
        default="auto",
        help="what the model's outputs are: logits, or scores of a softmax or of sigmoids; default auto: as its graph "
        "shows",
    )
    parser.add_argument(
        "--model_fingerprint", metavar="HEX", help="refuse any other model: model_fingerprint in a run's JSON"
    )


def label_parser(prog: str = "reelbeam label") -> argparse.ArgumentParser:
    """Returns the parser of `reelbeam label`'s own flags."""
    parser = Parser(
        prog=prog,
        allow_abbrev=False,
        description="Label videos and write the videos, clips and errors tables.",
        epilog="Every flag of Beam passes through: --runner, --temp_location, --direct_num_workers, … "
        "Exit codes: 0 done, 1 the job failed, 2 bad flags, 3 too many inputs failed, 5 the output is in use.",
    )
    parser.choices_of = {
        "--model": "--model a0-base is the smallest for real videos, fetched at its first use; `reelbeam models` lists "
        "others, and the bundled toy, demo"
    }
    add_label_flags(parser)
    return parser


def _codes(text: str) -> list[str]:
    known = {ALL_CODES, *(error.code for error in error_classes())}
    codes = [code.strip() for code in text.split(",") if code.strip()]
    for code in codes:
        if code not in known:
            near = difflib.get_close_matches(code, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise argparse.ArgumentTypeError(f"{code!r} is no error code{hint}")
    return codes


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is no share such as 1/4, 2/4, 3/4, 4/4")
    return int(index) - 1, int(count)


def parse_time(text: str) -> float:
    """Returns a flag's time in seconds since 1970; UTC where it names no offset."""
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-01-31 or 2026-01-31T06:00+02:00") from error
    return (time if time.tzinfo else time.replace(tzinfo=datetime.UTC)).timestamp()


def _fraction(text: str) -> Fraction:
    try:
        return parse_exact(text.strip())
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number such as 5, 12.5 or 30000/1001") from error
