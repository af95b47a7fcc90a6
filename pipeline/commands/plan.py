"""`reelbeam plan`: what `reelbeam label` with the same flags would do, and what it would cost."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reelbeam.pipeline.flags.label_parser import epilog
from reelbeam.pipeline.flags.parser import Parser, make_parser
from reelbeam.pipeline.settings.command_settings import PLAN_GROUPS
from reelbeam.transforms.models.cpus import cpu_count
from reelbeam.transforms.wording import counted, duration, short_duration

if TYPE_CHECKING:
    from rich.table import Table

    from reelbeam.pipeline.commands.estimate import Plan


_UNKNOWN = "unknown"


def plan_parser() -> Parser:
    """Returns the parser of `reelbeam plan`: the flags of `label`, and two more."""
    description = "Show what `reelbeam label` with the same flags would do, and what it would cost. Nothing is written."
    return make_parser("reelbeam plan", description, PLAN_GROUPS, epilog("plan"))


def plan(args: argparse.Namespace, beam_flags: Sequence[str]) -> int:
    """Prints the plan.

    Raises:
      ConfigError: a flag is wrong, or an input or the output cannot be read.
      RunError: a store does not respond now.
      ModelError: the model cannot be used. It is fetched only if the output holds rows to compare with.
    """
    from reelbeam.pipeline.commands.estimate import make_plan
    from reelbeam.pipeline.commands.planning import read_headers, select
    from reelbeam.pipeline.flags import options
    from reelbeam.pipeline.job.places import unusable
    from reelbeam.pipeline.job.preparation import check_request, prepare
    from reelbeam.pipeline.runners.registry import runner_of
    from reelbeam.pipeline.runners.stores import reach_stores
    from reelbeam.pipeline.terminal.progress import WorkLine
    from reelbeam.transforms.errors import StorageError
    from reelbeam.transforms.output.run_document import LabelingKey
    from reelbeam.transforms.typed_json import to_json

    reach_stores(beam_flags)
    request = check_request(options.to_config(args), runner_of(beam_flags), will_run=False)
    key = None if request.last is None else LabelingKey.of(prepare(request).run)
    config = request.config
    try:
        selection = select(config, key, args.sample)
        with WorkLine("reading") as line:
            headers = read_headers(config, selection.sample, line.show)
    except StorageError as error:
        raise unusable(str(error), error) from error
    found = make_plan(config, selection, headers)
    if args.json:
        print(json.dumps(to_json(found), indent=2, ensure_ascii=False))
    else:
        _show(found, f"this run's {config.row_options.to_flags()}")
    return 0


def _show(found: Plan, row_options: str) -> None:
    from rich.text import Text

    from reelbeam.pipeline.reports.reasons import counted_reasons
    from reelbeam.pipeline.terminal.console import make_console, make_table, right
    from reelbeam.transforms.storage.ignored import describe

    console = make_console()
    table = make_table(right("videos"), "")
    for number, text in counted_reasons(found.outcomes, row_options):
        table.add_row(str(number), text)
    console.print(table)
    console.print(_summary(found))
    if found.ignored:
        console.print(Text(f"Ignored: {describe(found.ignored)}"))
    for code, number in found.failures.items():
        console.print(Text(f"  {number} would fail: {code}", style="red"))
    if not found.to_label:
        return
    console.print(_costs_table(found))
    console.print(Text(_footnote(found), style="dim"))
    if found.videos_per_part:
        console.print(
            f"A crash costs the current part: --videos_per_part {found.videos_per_part} makes parts of "
            "about a CPU-hour."
        )


def _costs_table(found: Plan) -> Table:
    from rich.text import Text

    from reelbeam.pipeline.terminal.console import make_table, printable, right

    table = make_table("model", *map(right, ("clips", "model CPU time", "decoding", "CPU time", "time here")))
    for entry in found.models:
        decode, hours = entry.decode_cpu_hours, entry.cpu_hours
        table.add_row(
            Text(printable(entry.model)),
            str(entry.clips),
            _UNKNOWN if hours is None else _time(entry.model_cpu_hours or 0) + ("" if entry.measured else " *"),
            f"{_time(decode.typical)} ({_time(decode.low)} to {_time(decode.high)})",
            _UNKNOWN if hours is None else _time(hours),
            _UNKNOWN if hours is None else _time(hours / cpu_count()),
        )
    return table


def _footnote(found: Plan) -> str:
    """Returns the text below the costs: their source, and the meaning of the marks that the table has."""
    known = [entry.measured for entry in found.models if entry.cpu_hours is not None]
    text = (
        f"CPU time with {found.engine}, from benchmarks on another machine: good for an order of magnitude. "
        "Decoding depends on the codec and the size of the picture."
    )
    text += "" if all(known) else " * not measured, estimated from GFLOPs."
    return text + ("" if len(known) == len(found.models) else f" {_UNKNOWN}: the catalog has no cost of the model.")


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
