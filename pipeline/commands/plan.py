"""`reelbeam plan`: what `reelbeam label` with the same flags would do, and what it would cost."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reelbeam.pipeline.flags.definitions import label_parser
from reelbeam.transforms.cpus import cpu_count

if TYPE_CHECKING:
    from reelbeam.pipeline.commands.estimate import Plan

_REASONS = {
    "new": "new",
    "changed": "changed since they were labeled",
    "unversioned": "the store tells no version: labeled every time",
    "retried": "failed for a reason that may have passed",
    "new_decoder": "failed with another version of the decoder",
    "asked_for": "failed, asked for by --retry_failed",
    "forced": "labeled again (--force)",
    "already_labeled": "labeled already",
    "other_options": "labeled already, with another --top_k or --min_score, or without logits or embeddings (--force)",
    "failed_before": "failed before, for good",
    "gave_up": "failed --max_attempts times",
    "other_shard": "in other shards",
    "before_since": "older than --since",
    "beyond_limit": "beyond --limit",
}


def plan_parser() -> argparse.ArgumentParser:
    """Returns the parser of `reelbeam plan`: the flags of `label`, and two more."""
    parser = label_parser("reelbeam plan")
    parser.description = "Tell what `reelbeam label` with the same flags would do, and what it would cost; do nothing."
    ours = parser.add_argument_group("the plan")
    ours.add_argument(
        "--sample",
        type=int,
        metavar="N",
        help="read the headers of so many videos, and reckon with them; default 2000, of remote ones, which are copied "
        "for it, 100",
    )
    ours.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser


def plan(args: argparse.Namespace, beam_flags: Sequence[str]) -> int:
    """Prints the plan.

    Raises:
      ConfigError: a flag is wrong, or an input or the output cannot be read.
      RunError: a store does not answer now.
      ModelError: the model cannot be used; it is needed to compare with rows that are there.
    """
    import dataclasses

    from apache_beam.io.filesystems import FileSystems

    from reelbeam.pipeline.commands.estimate import make_plan
    from reelbeam.pipeline.commands.planning import read_headers, select
    from reelbeam.pipeline.flags import options
    from reelbeam.pipeline.job.earlier_runs import last_run, warn_of_future, warn_of_other_work
    from reelbeam.pipeline.job.preparation import check_inputs, prepare_run, unusable
    from reelbeam.pipeline.terminal.progress import WorkLine
    from reelbeam.transforms import storage
    from reelbeam.transforms.errors import ConfigError, MediaError
    from reelbeam.transforms.models.engine import choose_engine, with_found_kind
    from reelbeam.transforms.output.run_document import LabelingKey
    from reelbeam.transforms.storage.typed_json import to_json
    from reelbeam.transforms.stored_models import localized

    if args.sample is not None and args.sample < 1:
        raise ConfigError(f"--sample is {args.sample}: it must be at least 1")
    options.reach_stores(beam_flags)
    config = options.to_config(args)
    beam_options = options.to_beam_options(beam_flags)
    FileSystems.set_options(beam_options)
    config = dataclasses.replace(
        config,
        output=storage.normalize(config.output).rstrip("/"),
        engine=choose_engine(config.engine, localized(config.model), runs_here=options.is_local(beam_options)),
    )
    check_inputs(config)
    config = config.with_model(with_found_kind(config.model))
    key = None
    if (last := last_run(config.output)) is not None:
        run = prepare_run(config)[1]
        warn_of_future(last, config.output)
        warn_of_other_work(last, run, config.output)
        key = LabelingKey.of(run)
    try:
        with WorkLine("listing") as line:
            selection = select(config, key, args.sample, line.show)
        with WorkLine("reading") as line:
            headers = read_headers(config, selection.sample, line.show)
    except MediaError as error:
        raise unusable(str(error), error) from error
    found = make_plan(config, selection, headers)
    if args.json:
        print(json.dumps(to_json(found), indent=2, ensure_ascii=False))
    else:
        _show(found)
    return 0


def _show(found: Plan) -> None:
    from rich.text import Text

    from reelbeam.pipeline.terminal.console import make_console, make_table, printable, right
    from reelbeam.transforms.storage.ignored import describe

    console = make_console()
    table = make_table(right("videos"), "")
    for reason, text in _REASONS.items():
        if found.outcomes.get(reason):
            table.add_row(str(found.outcomes[reason]), text)
    console.print(table)
    console.print(_summary(found))
    if found.ignored:
        console.print(Text(f"Ignored: {describe(found.ignored)}"))
    for code, number in found.failures.items():
        console.print(Text(f"  {number} would fail: {code}", style="red"))
    if not found.to_label:
        return
    table = make_table("model", *map(right, ("clips", "model CPU-hours", "decoding", "CPU-hours", "hours here")))
    for entry in found.models:
        decode, hours = entry.decode_cpu_hours, entry.cpu_hours
        table.add_row(
            Text(printable(entry.model)),
            str(entry.clips),
            "unknown" if hours is None else _number(entry.model_cpu_hours or 0) + ("" if entry.measured else " *"),
            f"{_number(decode.typical)} ({_number(decode.low)} to {_number(decode.high)})",
            "" if hours is None else _number(hours),
            "" if hours is None else _number(hours / cpu_count()),
        )
    console.print(table)
    console.print(
        Text(
            f"CPU-hours with {found.engine}, from benchmarks on another machine: good for an order of magnitude. "
            "Decoding depends on the codec and the size of the picture. * not measured, reckoned from GFLOPs.",
            style="dim",
        )
    )
    if found.videos_per_part:
        console.print(
            f"A crash costs the part at hand: --videos_per_part {found.videos_per_part} makes parts of "
            "about a CPU-hour."
        )


def _summary(found: Plan) -> str:
    inputs = "1 input" if found.inputs == 1 else f"{found.inputs} inputs"
    text = f"{inputs}, {found.to_label} to label: {_number(found.hours)} hours of video"
    if found.extrapolated:
        text += f" (± {_number(found.hours_error)}: reckoned from the headers of {found.sampled} videos)"
    return f"{text}, {found.clips} clips"


def _number(value: float) -> str:
    """Returns a number with three digits that count, or says that it is next to nothing.

    >>> [_number(value) for value in (1234.5, 12.345, 0.0123, 0.0002, 0)]
    ['1234', '12.3', '0.012', '< 0.001', '0']
    """
    if 0 < value < 0.001:
        return "< 0.001"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.1 else f"{value:.2g}"
