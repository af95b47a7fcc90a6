"""Reference tables of docs/ as Markdown, from the code: flags, columns, error codes, counters."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable

import pyarrow as pa

from benchmarks.doc_tables import table
from reelbeam.pipeline import cli
from reelbeam.pipeline.commands import doctor, evaluate, models, output, plan, report
from reelbeam.pipeline.doctor.registry import CHECKS
from reelbeam.pipeline.flags.label_parser import label_parser
from reelbeam.pipeline.flags.parser import Parser
from reelbeam.pipeline.settings.declaration import Group, Setting
from reelbeam.pipeline.settings.label_settings import LABEL_GROUPS
from reelbeam.transforms import errors, metrics
from reelbeam.transforms.reference import COLUMNS, REMEDIES
from reelbeam.transforms.schemas import tables_of_run

PARSERS: dict[str, Callable[[], Parser]] = {
    "label": label_parser,
    "plan": plan.plan_parser,
    "status": output.status_parser,
    "verify": output.verify_parser,
    "report": report.report_parser,
    "evaluate": evaluate.evaluate_parser,
    "diff": output.diff_parser,
    "sql": output.sql_parser,
    "compact": output.compact_parser,
    "models fetch": models.fetch_parser,
    "models export": models.export_parser,
    "probe": cli.probe_parser,
    "doctor": doctor.doctor_parser,
}
"""The parser of each command that has flags."""

_EXIT_TOO_MANY_FAILURES = 3


def flags(command: str) -> str:
    """Returns the flags of a command; those of `label` in groups, and of `plan` only those that `label` lacks."""
    groups = [group for group in PARSERS[command]().groups if command == "label" or group not in LABEL_GROUPS]
    return "\n\n".join(
        _heading(group, command) + table(("flag", "meaning"), map(_flag_row, group.settings)) for group in groups
    )


def _heading(group: Group, command: str) -> str:
    return f"**{group.title}**\n\n" if command == "label" else ""


def _flag_row(setting: Setting) -> tuple[str, str]:
    value = "{" + ",".join(setting.choices) + "}" if setting.choices else setting.flag.metavar
    words = setting.option if setting.flag.is_positional or not value else f"{setting.option} {value}"
    return f"`{words}`", _cell(setting.help)


def columns(name: str) -> str:
    """Returns the columns of a table.

    Raises:
      AssertionError: a column has no meaning, or a meaning has no column.
    """
    schema = tables_of_run(num_logits=600, embedding_size=2048)[name]
    assert schema.names == list(COLUMNS[name]), f"transforms/reference.py and schemas.py differ in the table {name}"
    rows = [(f"`{field.name}`", _type(field), _cell(COLUMNS[name][field.name])) for field in schema]
    return table(("column", "type", "meaning"), rows)


def _type(field: pa.Field) -> str:
    kind = field.type
    if pa.types.is_map(kind):
        return "map"
    if pa.types.is_fixed_size_list(kind):
        return "float16[N]"
    if pa.types.is_list(kind):
        return "list of structs"
    return "timestamp" if pa.types.is_timestamp(kind) else str(kind)


def row_codes() -> str:
    """Returns the codes of errors that cost one row, with remedies."""
    return _codes(row for root in (errors.MediaError, errors.InferenceError) for row in _below(root))


def run_codes() -> str:
    """Returns the codes of errors that stop a run, with exit codes and remedies."""
    roots = (errors.ConfigError, errors.ModelError, errors.RunError)
    # A place that a flag names and that cannot be used is a ConfigError or a RunError, see `pipeline.job.places`.
    classes = [*(row for root in roots for row in _below(root)), errors.StorageError]
    return _codes(classes, with_exit_code=True)


def _below(root: type[errors.ReelbeamError]) -> list[type[errors.ReelbeamError]]:
    """Returns the classes below one, and then the class itself: its code is for all that has no other."""
    return [cls for cls in [*errors.error_classes(root), root] if "code" in vars(cls)]


def _codes(classes: Iterable[type[errors.ReelbeamError]], with_exit_code: bool = False) -> str:
    rows = []
    for cls in classes:
        meaning = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0]
        first = " (transient)" if cls.transient else ""
        exit_code = (str(_exit_code(cls)),) if with_exit_code else ()
        rows.append((f"`{cls.code}`{first}", *exit_code, _cell(meaning), _cell(REMEDIES[cls.code])))
    assert {cls.code for cls in errors.error_classes()} == set(REMEDIES), "transforms/reference.py has other codes"
    return table(("code", *(["exit code"] if with_exit_code else []), "meaning", "remedy"), rows)


def _exit_code(cls: type[errors.ReelbeamError]) -> int:
    return _EXIT_TOO_MANY_FAILURES if cls is errors.TooManyFailuresError else cli._exit_code(cls(""))


def doctor_checks() -> str:
    """Returns the checks of `reelbeam doctor`."""
    rows = [(f"`{check.id}`", _cell(check.purpose), _cell(check.needs)) for check in CHECKS]
    return table(("check", "checks", "runs with"), rows)


def counters() -> str:
    """Returns the counters, with the text that follows each name in metrics.py."""
    body = ast.parse(inspect.getsource(metrics)).body
    rows = []
    for node, after in zip(body, body[1:], strict=False):
        if not (
            isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper()
        ):
            continue
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        if is_text and node.targets[0].id != "NAMESPACE":
            assert isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant), node.targets[0].id
            rows.append((f"`{ast.literal_eval(node.value)}`", _cell(str(after.value.value))))
    return table(("counter", "counts"), rows)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").rstrip(".")
