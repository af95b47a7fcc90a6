"""`reelbeam plan`: what `reelbeam label` with the same flags would do, and what it would cost."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reelbeam.pipeline.flags.label_parser import LABEL_EPILOG
from reelbeam.pipeline.flags.parser import Parser, make_parser
from reelbeam.pipeline.settings.command_settings import PLAN_GROUPS
from reelbeam.transforms.models.cpus import cpu_count
from reelbeam.transforms.wording import counted, duration, short_duration

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
    "other_options": "labeled already, but with other --top_k, --min_score, --save_logits or --save_embeddings: "
    "pass --force to label again",
    "failed_before": "failed before, for good",
    "gave_up": "failed --max_attempts times",
    "other_shard": "in other shards",
    "before_since": "older than --since",
    "beyond_limit": "beyond --limit",
}


def plan_parser() -> Parser:
    """Returns the parser of `reelbeam plan`: the flags of `label`, and two more."""
    description = "Show what `reelbeam label` with the same flags would do, and what it would cost. Nothing is written."
    return make_parser("reelbeam plan", description, PLAN_GROUPS, LABEL_EPILOG)


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
    from reelbeam.transforms.errors import ConfigError, StorageError
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
    except StorageError as error:
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
    table = make_table("model", *map(right, ("clips", "model CPU time", "decoding", "CPU time", "time here")))
    for entry in found.models:
        decode, hours = entry.decode_cpu_hours, entry.cpu_hours
        table.add_row(
            Text(printable(entry.model)),
            str(entry.clips),
            "unknown" if hours is None else _time(entry.model_cpu_hours or 0) + ("" if entry.measured else " *"),
            f"{_time(decode.typical)} ({_time(decode.low)} to {_time(decode.high)})",
            "" if hours is None else _time(hours),
            "" if hours is None else _time(hours / cpu_count()),
        )
    console.print(table)
    console.print(
        Text(
            f"CPU time with {found.engine}, from benchmarks on another machine: good for an order of magnitude. "
            "Decoding depends on the codec and the size of the picture. * not measured, estimated from GFLOPs.",
            style="dim",
        )
    )
    if found.videos_per_part:
        console.print(
            f"A crash costs the part at hand: --videos_per_part {found.videos_per_part} makes parts of "
            "about a CPU-hour."
        )


def _summary(found: Plan) -> str:
    text = f"{counted(found.inputs, 'input')}, {found.to_label} to label: {_video(found.hours)} of video"
    if found.extrapolated:
        sample = counted(found.sampled, "video")
        text += f" (± {_video(found.hours_error)}: estimated from the headers of {sample})"
    return f"{text}, {counted(found.clips, 'clip')}"


def _video(hours: float) -> str:
    return duration(hours * 3600)


def _time(hours: float) -> str:
    return short_duration(hours * 3600)
