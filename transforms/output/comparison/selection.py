"""The two sides of a comparison by name: two outputs, two runs of one output, or an output before and after a run."""

from __future__ import annotations

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.output.report_content.shown_rows import OnFile, ShownRows
from reelbeam.transforms.output.runs import Run
from reelbeam.transforms.output.tables import Output


def select_sides(
    output: str, other: str, run: str | None = None, on_file: OnFile = lambda path: None
) -> tuple[ShownRows, ShownRows]:
    """Returns the rows of two outputs, or of two runs of one output.

    Args:
      output: the URI of the first output, or of the only one.
      other: the URI of the second output; with `run`, the name of the first run.
      run: the name of the second run; None: compare outputs.
      on_file: called for each file that is read.

    Raises:
      ConfigError: an output or a run does not exist, or a name matches several runs.
      StorageError: a file cannot be read.
    """
    first = Output.read(output)
    if run is not None:
        runs = [_find(first, name) for name in (other, run)]
        return ShownRows.of_runs(first, runs[0], on_file), ShownRows.of_runs(first, runs[1], on_file)
    second = _read_other(first, other)
    return ShownRows.current(first, on_file), ShownRows.current(second, on_file)


def select_report_sides(
    output: Output, rows: ShownRows, against: str, run: str | None = None, on_file: OnFile = lambda path: None
) -> tuple[ShownRows, ShownRows]:
    """Returns the rows that `reelbeam report --against` compares.

    - Against a run of the output: the rows that were current when it was committed, and the current rows made since.
    - Against a run of the output, for a report of one run: the rows of both runs.
    - Against another output: its current rows, and the rows of the report.

    Args:
      output: the output of the report.
      rows: the rows that the report shows.
      against: the name of the run, or the URI of the other output.
      run: the run that the report shows; None: all of them.
      on_file: called for each file that is read.

    Raises:
      ConfigError: `against` is neither, or a name matches several runs.
      StorageError: a file cannot be read.
    """
    if _is_run(output, against):
        found = output.find(against)
        if run is not None:
            return ShownRows.of_runs(output, found, on_file), rows
        return ShownRows.up_to(output, found[-1], on_file), ShownRows.since(output, found[-1], on_file)
    return ShownRows.current(_other_output(output, against), on_file), rows


def select_rows(output: Output, run: str | None, on_file: OnFile = lambda path: None) -> ShownRows:
    """Returns the rows of a run, or the current rows of all runs.

    Args:
      output: the output.
      run: the name of the run; None: all runs.
      on_file: called for each file that is read.

    Raises:
      ConfigError: the run does not exist, or the name matches several runs.
      StorageError: a file cannot be read.
    """
    return ShownRows.current(output, on_file) if run is None else ShownRows.of_runs(output, output.find(run), on_file)


def select_against(
    against: str, output: Output, run: str | None, rows: ShownRows, on_file: OnFile = lambda path: None
) -> tuple[ShownRows, ShownRows]:
    """Returns the rows of two runs, or of two outputs, for a comparison of models or samplings on the same videos.

    A run is compared with the last run of the output, unless another run was chosen.

    Args:
      against: a run of the output, or another output.
      output: the output.
      run: the run that was chosen; None: all of them.
      rows: the rows that were chosen.
      on_file: called for each file that is read.

    Returns:
      the rows that `against` names, and those to compare with them.

    Raises:
      ConfigError: `against` is neither a run nor an output.
      StorageError: a file cannot be read.
    """
    if _is_run(output, against):
        own = rows if run is not None else select_rows(output, output.last_name(), on_file)
        return select_rows(output, against, on_file), own
    return ShownRows.current(_other_output(output, against), on_file), rows


def _is_run(output: Output, name: str) -> bool:
    return any(each.run_id.startswith(name) for each in output.labeling_runs())


def _other_output(output: Output, against: str) -> Output:
    other = Output.read_any(against)
    if not other.runs:
        raise ConfigError(
            f"--against {against} is neither a run of {output.uri} nor an output with a committed run: pass a run that "
            f"`reelbeam status {output.uri}` lists, or another output"
        )
    return other


def _find(output: Output, name: str) -> list[Run]:
    try:
        return output.find(name)
    except ConfigError as error:
        if "/" in name:
            raise ConfigError(f"{error}; to compare two outputs, pass these two and no run") from error
        raise


def _read_other(first: Output, other: str) -> Output:
    """Returns the second output. A run in its place gets an error that says what is missing."""
    try:
        return Output.read(other)
    except ConfigError as error:
        if _is_run(first, other):
            raise ConfigError(
                f"{other} is a run of {first.uri}, and only one run was given: pass another run of it, too"
            ) from error
        raise
