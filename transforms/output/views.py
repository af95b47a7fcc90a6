"""SQL views of an output: the current row of every video, its clips, its failures, and a timeline of every label.

    current_videos    for every video or range, the last row with the labeling key of the last run (model, labels,
                      sampling, …), even if that run skipped it as labeled already; without such a row, the last row
    current_clips     the clips of the run of that row
    current_errors    the failures of the run of that row
    label_timeline    video_uri, label, start_ms, end_ms, score: merged clips that touch or overlap, within one range

The views read the files by pattern instead of a list of committed runs, so they stay valid after later runs. A pattern
is sufficient: files get matching names only after their commit record (`reelbeam.transforms.output.commits`), the rows
of an interrupted commit are complete videos with all their clips, and no row appears twice.

The clips of some runs have `logits` and `embedding`. In DuckDB, the rows of other runs have null there. Views of other
dialects omit these columns.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.output.run_document import KEY_COLUMNS
from reelbeam.transforms.schemas import AGE, RANGE, TABLES

Dialect = Literal["duckdb", "bigquery", "spark"]

_GUARANTEE = (
    "-- These patterns match the files of committed runs only: files get such names after their run was checked.\n"
    "-- The views include later runs and need not be created again.\n"
)


_INPUT = "video_uri, range_start_ms, range_end_ms"
_SAME_INPUT = " AND ".join(
    [
        "{0}.video_uri = v.video_uri AND {0}.run_id = v.run_id",
        *(f"coalesce({{0}}.{name}, -1) = coalesce(v.{name}, -1)" for name in RANGE),  # null: the whole video
    ]
)
_CLIP_COLUMNS = ", ".join(f"c.{name}" for name in TABLES["clips"].names)
_ERROR_COLUMNS = ", ".join(f"e.{name}" for name in TABLES["errors"].names)


_RUN_COLUMNS = {"run_id": "STRING", **dict.fromkeys(KEY_COLUMNS, "STRING"), "schema_version": "INT"}
"""The fields of run documents that the views read, with their types in DuckDB and Spark. A document is one line."""
_BIGQUERY = {"STRING": "STRING", "INT": "INT64"}


class _Syntax(NamedTuple):
    """The differences between the dialects: the statements that name the files, and pieces of all others."""

    sources: str
    create: str
    source_prefix: str
    prefix: str
    labels: str
    clip_columns: str = _CLIP_COLUMNS


def create_views(output: str, dialect: Dialect, min_score: float, dataset: str = "reelbeam") -> str:
    """Returns the statements, each terminated by a semicolon.

    Args:
      output: the absolute folder or prefix.
      dialect: the SQL dialect.
      min_score: the minimum score of labels in the timeline.
      dataset: the BigQuery dataset.

    Raises:
      ConfigError: the dialect cannot express the path, or the path contains a control character.
    """
    if control := re.search(r"[\x00-\x1f\x7f-\x9f]", output):
        raise ConfigError(
            f"{output!a} contains the control character {control[0]!a}, which cannot be printed in SQL statements: "
            "rename the folder, or make a link to it"
        )
    syntax = {"duckdb": _duckdb, "bigquery": _bigquery, "spark": _spark}[dialect](output, dataset)
    columns = ",\n    ".join(TABLES["videos"].names)
    of_last_run = " AND ".join(f"v.{name} = r.{name}" for name in KEY_COLUMNS)
    last_first = ", ".join(f"v.{name} DESC" for name in AGE)
    of_input = ", ".join(f"v.{name}" for name in ("video_uri", *RANGE))
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

{syntax.create} {syntax.prefix}label_timeline AS
WITH seen AS (
    SELECT {_INPUT}, l.label AS label, start_ms, end_ms, l.score AS score
    FROM {syntax.labels}
    WHERE l.score >= {min_score:g}
), followed AS (
    SELECT *, max(end_ms) OVER (
        PARTITION BY {_INPUT}, label ORDER BY start_ms, end_ms ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS seen_until
    FROM seen
), stretches AS (
    SELECT *, sum(CASE WHEN start_ms <= seen_until THEN 0 ELSE 1 END) OVER (
        PARTITION BY {_INPUT}, label ORDER BY start_ms, end_ms ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS stretch
    FROM followed
)
SELECT
    video_uri, label, min(start_ms) AS start_ms, max(end_ms) AS end_ms, avg(score) AS score,
    max(score) AS max_score, count(*) AS num_clips, range_start_ms, range_end_ms
FROM stretches
GROUP BY {_INPUT}, label, stretch;
"""


def _duckdb(output: str, dataset: str) -> _Syntax:
    if "\\" in output:
        raise ConfigError(
            f"DuckDB treats the backslash in {output} as a slash: rename the folder, or make a link to it"
        )
    place = re.sub(r"([*?[])", r"[\1]", output).replace("'", "''")
    sources = "".join(
        f"CREATE OR REPLACE VIEW all_{table} AS\n"
        f"FROM read_parquet('{place}/{table}/*/*.parquet', hive_partitioning = false, union_by_name = true);\n"
        for table in TABLES
    )
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in _RUN_COLUMNS.items())
    sources += f"CREATE OR REPLACE VIEW all_runs AS\nFROM read_json('{place}/runs/*.json', columns = {{{columns}}});\n"
    labels = f"(SELECT {_INPUT}, start_ms, end_ms, unnest(labels) AS l FROM current_clips) AS each_label"
    return _Syntax(sources, "CREATE OR REPLACE VIEW", "", "", labels, clip_columns="c.*")


def _spark(output: str, dataset: str) -> _Syntax:
    place = re.sub("^s3://", "s3a://", output)  # the name of Hadoop's client for S3
    # Escape for Hadoop's patterns first, then for the string.
    place = re.sub(r"([*?\[\]{}\\])", r"\\\1", place).replace("\\", "\\\\").replace("'", "\\'")
    sources = "".join(
        f"CREATE OR REPLACE TEMPORARY VIEW all_{table} USING parquet\nOPTIONS (path '{place}/{table}');\n"
        for table in TABLES
    )
    columns = ", ".join(f"{name} {kind}" for name, kind in _RUN_COLUMNS.items())
    sources += f"CREATE OR REPLACE TEMPORARY VIEW all_runs ({columns}) USING json\nOPTIONS (path '{place}/runs');\n"
    labels = f"(SELECT {_INPUT}, start_ms, end_ms, explode(labels) AS l FROM current_clips) AS each_label"
    return _Syntax(sources, "CREATE OR REPLACE TEMPORARY VIEW", "", "", labels)


def _bigquery(output: str, dataset: str) -> _Syntax:
    if not output.startswith("gs://"):
        raise ConfigError(f"BigQuery reads gs:// only, and the output is {output}: copy it there, or load its files")
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)?", dataset):
        raise ConfigError(f"--dataset {dataset!r} is not a name such as reelbeam or my-project.reelbeam")
    place = output.replace("\\", "\\\\").replace("'", "\\'")
    prefix = "".join(f"`{part}`." for part in dataset.split("."))
    # BigQuery allows one asterisk in a pattern, which also matches folders.
    sources = "".join(
        f"CREATE OR REPLACE EXTERNAL TABLE {prefix}all_{table} OPTIONS (\n"
        f"    format = 'PARQUET', uris = ['{place}/{table}/*.parquet'], enable_list_inference = true\n);\n"
        for table in TABLES
    )
    columns = ", ".join(f"{name} {_BIGQUERY[kind]}" for name, kind in _RUN_COLUMNS.items())
    sources += (
        f"CREATE OR REPLACE EXTERNAL TABLE {prefix}all_runs ({columns}) OPTIONS (\n"
        f"    format = 'JSON', uris = ['{place}/runs/*.json'], ignore_unknown_values = true\n);\n"
    )
    labels = f"{prefix}current_clips, UNNEST(labels) AS l"
    return _Syntax(sources, "CREATE OR REPLACE VIEW", prefix, prefix, labels)
