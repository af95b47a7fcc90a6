"""The settings of `report`, `evaluate` and `diff`, each declared once."""

from __future__ import annotations

import dataclasses
from typing import Literal

from reelbeam.pipeline.settings import values
from reelbeam.pipeline.settings.declaration import Flag, required, setting
from reelbeam.pipeline.settings.values import Range
from reelbeam.transforms.models.registry.catalog import KINETICS_600
from reelbeam.transforms.output.comparison.changes import MIN_DRIFT

MIN_DRIFT_FLAG = Flag("Part of the videos that must have moved to other labels to be drift", "S", Range(0, 1))

_RUN = "the name of a run, of a run with parts, or the beginning of a name"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffSettings:
    """The settings of `diff`."""

    other: str = required(
        str,
        Flag(
            f"Another output; with RUN_B, the earlier run of OUTPUT: {_RUN}",
            "OTHER",
            is_positional=True,
            is_location=True,
        ),
    )
    run: str | None = setting(None, Flag("The second run of OUTPUT", "RUN_B", is_positional=True))
    min_drift: float = setting(MIN_DRIFT, MIN_DRIFT_FLAG)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """The settings of `report`."""

    to: str | None = setting(
        None,
        Flag("The new HTML file, local or in an object store", "FILE", unset="OUTPUT/report.html", is_location=True),
    )
    run: str | None = setting(
        None,
        Flag(
            "Show only the rows of this run: its name, or the beginning of it",
            "RUN",
            unset="the current rows of all runs",
        ),
    )
    video: tuple[str, ...] = setting(
        (), Flag("Show a timeline of this video in any case; may be repeated", "URI", is_location=True)
    )
    against: str | None = setting(
        None,
        Flag(
            "Show what changed since this run, or what differs from another output",
            "RUN_OR_OUTPUT",
            is_location=True,
        ),
    )
    min_drift: float = setting(MIN_DRIFT, MIN_DRIFT_FLAG)
    truth: str | None = setting(
        None,
        Flag(
            "Show how right the labels are: a file of right labels, see `reelbeam evaluate`", "FILE", is_location=True
        ),
    )
    labels: str | None = setting(
        None,
        Flag(
            f"With --truth: what was --labels of `reelbeam label`, a file or {KINETICS_600}", "FILE", is_location=True
        ),
    )
    clips: int = setting(200, Flag("Maximum number of clips to show", "N", Range(0, 2_000)))
    seed: int = setting(0, Flag("Seed of the samples: another one shows other clips", "N", Range(0)))
    no_images: bool = setting(False, Flag("Show no pictures: no video is read"))
    max_bytes: int = setting(
        14 << 20,
        Flag("Maximum size of the page: pictures are left out until it fits", "N", show=values.byte_text),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """The settings of `evaluate`."""

    truth: str = required(
        str,
        Flag(
            "The right labels: .csv, .tsv, .jsonl or .parquet with a column video_uri or file, and a column label",
            "FILE",
            is_location=True,
        ),
    )
    labels: str | None = setting(
        None,
        Flag(
            f"The labels of the model, what was --labels of `reelbeam label`: a file or {KINETICS_600}",
            "FILE",
            unset="that of the catalog, or the labels in the tables",
            is_location=True,
        ),
    )
    run: str | None = setting(
        None,
        Flag(
            "Evaluate only the rows of this run: its name, or the beginning of it",
            "RUN",
            unset="the current rows of all runs",
        ),
    )
    against: str | None = setting(
        None,
        Flag(
            "Say whether this output or run is better than OUTPUT: another output, or another run of OUTPUT",
            "OUTPUT_OR_RUN",
            is_location=True,
        ),
    )
    precision: float = setting(
        0.9, Flag("Part of the labels that must be right, for which the lowest scores are found", "P", Range(0, 1))
    )
    write_thresholds: str | None = setting(
        None,
        Flag(
            "Write the lowest scores for --precision to this .json file, for `reelbeam label` and `sql`",
            "FILE",
            is_location=True,
        ),
    )
    match: Literal["exact", "uri", "suffix", "name", "stem"] | None = setting(
        None,
        Flag("How videos are found in the truth file", unset="the strictest way that matches half of them"),
    )
    ranking: Literal["mean", "max"] = setting(
        "mean", Flag("What ranks the labels of a video: the mean score of its clips, or the best one")
    )
    ignore_unknown_labels: bool = setting(
        False, Flag("Exit with 0 even if the truth has labels that are not the model's")
    )
    seed: int = setting(0, Flag("Seed of the samples from which intervals are made", "N", Range(0)))
