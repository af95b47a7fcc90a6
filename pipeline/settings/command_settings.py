"""The settings of the commands other than `label`, each declared once, and their groups."""

from __future__ import annotations

import dataclasses
from typing import Literal

from reelbeam.pipeline.settings import values
from reelbeam.pipeline.settings.declaration import Flag, Group, required, setting
from reelbeam.pipeline.settings.label_settings import LABEL_GROUPS, RemoteSettings, SandboxSettings
from reelbeam.pipeline.settings.model_settings import ModelDescription
from reelbeam.pipeline.settings.report_settings import DiffSettings, EvaluateSettings, ReportSettings
from reelbeam.pipeline.settings.values import Range
from reelbeam.transforms.models.engine import EngineName, Precision

LOCAL_SAMPLE, REMOTE_SAMPLE = 2_000, 100
"""How many videos `plan` reads. Remote ones are copied for it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputSettings:
    """The output that a command reads."""

    output: str = required(
        str,
        Flag("Folder or prefix that was --output of `reelbeam label`", "OUTPUT", is_positional=True, is_location=True),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class JsonSettings:
    """The form of what a command prints."""

    json: bool = setting(False, Flag("Print JSON instead of tables"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlanSettings:
    """The settings that only `plan` has."""

    sample: int | None = setting(
        None,
        Flag(
            "Read the headers of N videos, and estimate from them",
            "N",
            Range(1),
            unset=f"{LOCAL_SAMPLE}; {REMOTE_SAMPLE} of remote videos, which are copied",
        ),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class StatusSettings:
    """The settings of `status`."""

    runs: int = setting(10, Flag("Number of runs to show, the last ones", "N", Range(0)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class VerifySettings:
    """The settings of `verify`."""

    run: tuple[str, ...] = setting((), Flag("Check only this run; may be repeated", "ID"))
    last: bool = setting(False, Flag("Check only the last run, with all its parts: for scheduled runs"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SqlSettings:
    """The settings of `sql`."""

    dialect: Literal["duckdb", "bigquery", "spark"] = setting("duckdb", Flag("Dialect of the statements"))
    min_score: float = setting(
        0.5, Flag("Lowest score of a label in label_timeline, without --thresholds", "S", Range(0, 1))
    )
    thresholds: str | None = setting(
        None,
        Flag(
            "Add views of the labels that pass: a .json file that `reelbeam evaluate --write_thresholds` wrote",
            "FILE",
            is_location=True,
        ),
    )
    dataset: str = setting("reelbeam", Flag("Dataset of BigQuery", "NAME"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompactSettings:
    """The settings of `compact`."""

    before: float | None = setting(
        None, Flag("Merge only runs that were committed before: 2026-01-31 (UTC)", "TIME", parse=values.time)
    )
    wait_for_lock: bool = setting(False, Flag("Wait while a run writes to the output, instead of exiting with 5"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class FetchSettings:
    """The settings of `models fetch`."""

    name: str = required(
        str, Flag("Catalog name, URL, or object-store path", "NAME", is_positional=True, is_location=True)
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """The settings of `models export` besides those that describe the model."""

    model: str = required(
        str, Flag("Catalog name, URL, folder or object-store path", "NAME", is_positional=True, is_location=True)
    )
    to: str = required(str, Flag("The new folder, local or in an object store", "DIR", is_location=True))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """The settings of `probe`."""

    files: tuple[str, ...] = required(tuple, Flag("File, folder or pattern", "FILE", is_positional=True))


@dataclasses.dataclass(frozen=True, kw_only=True)
class DoctorSettings:
    """The settings that only `doctor` has."""

    checks: tuple[str, ...] = setting((), Flag("Run only these checks; see --list", "CHECK", is_positional=True))
    model: str | None = setting(
        None, Flag("Check this model: it runs, and gives the recorded logits", "NAME", is_location=True)
    )
    input: tuple[str, ...] = setting(
        (), Flag("Check this file, folder, pattern or address; may be repeated", "INPUT", is_location=True)
    )
    output: str | None = setting(None, Flag("Check this output: a local one is written to", "DIR", is_location=True))
    spool_dir: str | None = setting(
        None,
        Flag(
            "Check the disk of this folder, in which a run copies remote videos",
            "DIR",
            unset="the folder for temporary files",
            is_location=True,
        ),
    )
    engine: EngineName = setting("auto", Flag("Engine of the models"))
    precision: Precision = setting("float32", Flag("Arithmetic of the models"))
    reach: bool = setting(False, Flag("Also try the stores and the server of the model, at most 5 s each"))
    strict: bool = setting(False, Flag("Fail on warnings and on unknown results, too"))
    list: bool = setting(False, Flag("Print the checks instead of running them"))
    json: bool = setting(False, Flag("Print JSON instead of a table"))


PLAN_GROUPS = (*LABEL_GROUPS, Group("The plan", (PlanSettings, JsonSettings)))
STATUS_GROUPS = (Group("", (OutputSettings, StatusSettings, JsonSettings)),)
VERIFY_GROUPS = (Group("", (OutputSettings, VerifySettings, JsonSettings)),)
DIFF_GROUPS = (Group("", (OutputSettings, DiffSettings, JsonSettings)),)
REPORT_GROUPS = (Group("", (OutputSettings, ReportSettings, RemoteSettings, SandboxSettings)),)
EVALUATE_GROUPS = (Group("", (OutputSettings, EvaluateSettings, JsonSettings)),)
SQL_GROUPS = (Group("", (OutputSettings, SqlSettings)),)
COMPACT_GROUPS = (Group("", (OutputSettings, CompactSettings)),)
FETCH_GROUPS = (Group("", (FetchSettings,)),)
EXPORT_GROUPS = (Group("", (ExportSettings, ModelDescription)),)
DOCTOR_GROUPS = (Group("", (DoctorSettings, SandboxSettings)), Group("The model", (ModelDescription,)))
PROBE_GROUPS = (Group("", (ProbeSettings, SandboxSettings)),)
