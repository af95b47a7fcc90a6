"""SQL views of an output: the current row of every video, its clips, its failures, and a timeline of every label.

    current_videos    for every video or range, the last row with the labeling key of the last run (model, labels,
                      sampling, …), even if that run skipped it as labeled already; without such a row, the last row
    current_clips     the clips of the run of that row
    current_errors    the failures of the run of that row
    label_timeline    video_uri, label, start_ms, end_ms, score: merged clips that touch or overlap, within one range

With thresholds, there are those of `threshold_views` too, and label_timeline has the labels that pass.

The views read the files by pattern instead of a list of committed runs, so they stay valid after later runs. A pattern
is sufficient: files get matching names only after their commit record (`reelbeam.transforms.output.commits`), the rows
of an interrupted commit are complete videos with all their clips, and no row appears twice.

The clips of some runs have `logits` and `embedding`. In DuckDB, the rows of other runs have null there. Views of other
dialects omit these columns.
"""

from __future__ import annotations

import re

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.output.run_document import KEY_COLUMNS
from reelbeam.transforms.output.sql.dialects import INPUT, Dialect, syntax_of
from reelbeam.transforms.output.sql.threshold_views import passes, threshold_views, with_thresholds
from reelbeam.transforms.records import NOTHING_RECOGNIZED
from reelbeam.transforms.records.thresholds import LabelThresholds
from reelbeam.transforms.schemas import AGE, RANGE, TABLES

_GUARANTEE = (
    "-- These patterns match the files of committed runs only: files get such names after their run was checked.\n"
    "-- The views include later runs and need not be created again.\n"
)


_SAME_INPUT = " AND ".join(
    [
        "{0}.video_uri = v.video_uri AND {0}.run_id = v.run_id",
        *(f"coalesce({{0}}.{name}, -1) = coalesce(v.{name}, -1)" for name in RANGE),  # null: the whole video
    ]
)
_ANSWER = f"CASE WHEN status <> 'failed' THEN coalesce(top_label, '{NOTHING_RECOGNIZED}') END AS top_label"
"""Earlier rows have null where nothing was recognized, as failed videos have."""

_ERROR_COLUMNS = ", ".join(f"e.{name}" for name in TABLES["errors"].names)


def create_views(
    output: str,
    dialect: Dialect,
    min_score: float,
    dataset: str = "reelbeam",
    thresholds: LabelThresholds | None = None,
) -> str:
    """Returns the statements, each terminated by a semicolon.

    Args:
      output: the absolute folder or prefix.
      dialect: the SQL dialect.
      min_score: the minimum score of labels in the timeline, if there are no thresholds.
      dataset: the BigQuery dataset.
      thresholds: the scores from which on labels count; None: there are no views for that.

    Raises:
      ConfigError: the dialect cannot express the path, or the path contains a control character.
    """
    if control := re.search(r"[\x00-\x1f\x7f-\x9f]", output):
        raise ConfigError(
            f"{output!a} contains the control character {control[0]!a}, which cannot be printed in SQL statements: "
            "rename the folder, or make a link to it"
        )
    syntax = syntax_of(output, dialect, dataset)
    columns = ",\n    ".join(_ANSWER if name == "top_label" else name for name in TABLES["videos"].names)
    of_last_run = " AND ".join(f"v.{name} = r.{name}" for name in KEY_COLUMNS)
    last_first = ", ".join(f"v.{name} DESC" for name in AGE)
    of_input = ", ".join(f"v.{name}" for name in ("video_uri", *RANGE))
    clip_labels = syntax.labels_of("current_clips", f"{INPUT}, start_ms, end_ms")
    timeline = f"{clip_labels}\n    WHERE l.score >= {min_score:g}"
    if thresholds is not None:
        timeline = f"{with_thresholds(clip_labels, 'l.label', syntax)}\n    WHERE {passes('l.score', syntax)}"
    return f"""{_GUARANTEE}{syntax.sources}
{syntax.create} {syntax.prefix}current_videos AS
SELECT
    {columns}
FROM (
    SELECT v.*, row_number() OVER (
        PARTITION BY {of_input} ORDER BY CASE WHEN {of_last_run} THEN 1 ELSE 0 END DESC, {last_first}
    ) AS age
    FROM {syntax.source_prefix}all_videos AS v
    CROSS JOIN (
        SELECT {", ".join(KEY_COLUMNS)}
        FROM {syntax.source_prefix}all_runs WHERE model_fingerprint IS NOT NULL ORDER BY run_id DESC LIMIT 1
    ) AS r
) AS aged
WHERE age = 1;

{syntax.create} {syntax.prefix}current_clips AS
SELECT {syntax.clip_columns}
FROM {syntax.source_prefix}all_clips AS c
JOIN {syntax.prefix}current_videos AS v ON {_SAME_INPUT.format("c")};

{syntax.create} {syntax.prefix}current_errors AS
SELECT {_ERROR_COLUMNS}
FROM {syntax.source_prefix}all_errors AS e
JOIN {syntax.prefix}current_videos AS v ON {_SAME_INPUT.format("e")};

{"" if thresholds is None else threshold_views(thresholds, syntax)}{syntax.create} {syntax.prefix}label_timeline AS
WITH seen AS (
    SELECT {INPUT}, l.label AS label, start_ms, end_ms, l.score AS score
    FROM {timeline}
), followed AS (
    SELECT *, max(end_ms) OVER (
        PARTITION BY {INPUT}, label ORDER BY start_ms, end_ms ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS seen_until
    FROM seen
), stretches AS (
    SELECT *, sum(CASE WHEN start_ms <= seen_until THEN 0 ELSE 1 END) OVER (
        PARTITION BY {INPUT}, label ORDER BY start_ms, end_ms ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS stretch
    FROM followed
)
SELECT
    video_uri, label, min(start_ms) AS start_ms, max(end_ms) AS end_ms, avg(score) AS score,
    max(score) AS max_score, count(*) AS num_clips, range_start_ms, range_end_ms
FROM stretches
GROUP BY {INPUT}, label, stretch;
"""
