"""The differences of the SQL dialects."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.output.run_document import KEY_COLUMNS
from reelbeam.transforms.records import NOTHING_RECOGNIZED
from reelbeam.transforms.schemas import TABLES

Dialect = Literal["duckdb", "bigquery", "spark"]

INPUT = "video_uri, range_start_ms, range_end_ms"
"""The columns that identify an input."""

_CLIP_ANSWER = f"coalesce(c.top_label, '{NOTHING_RECOGNIZED}') AS top_label"
"""Earlier rows have null where nothing was recognized."""

_CLIP_COLUMNS = ", ".join(_CLIP_ANSWER if name == "top_label" else f"c.{name}" for name in TABLES["clips"].names)
_RUN_COLUMNS = {"run_id": "STRING", **dict.fromkeys(KEY_COLUMNS, "STRING"), "schema_version": "INT"}
"""The fields of run documents that the views read, with their types in DuckDB and Spark. A document is one line."""
_BIGQUERY = {"STRING": "STRING", "INT": "INT64"}


class Syntax(NamedTuple):
    """The differences between the dialects: the statements that name the files, and pieces of all others.

    Attributes:
      sources: the statements that name the files.
      create: the beginning of a statement that creates a view.
      source_prefix, prefix: of the names of tables of files, and of other views.
      labels: a table with a row for each label `l`; it has the places {table} and {columns}.
      number_type, text_type: the names of types.
      escapes: the characters of a string that have to be written in another way, each with that way.
      clip_columns: the columns of clips.
    """

    sources: str
    create: str
    source_prefix: str
    prefix: str
    labels: str
    number_type: str
    text_type: str
    escapes: dict[str, str]
    clip_columns: str = _CLIP_COLUMNS

    def labels_of(self, view: str, columns: str) -> str:
        """Returns a table with a row for each label `l` of the rows of a view, beside other columns of these."""
        return self.labels.format(table=f"{self.prefix}{view}", columns=columns)

    def string(self, text: str) -> str:
        """Returns a text as a string literal; the text has no control characters."""
        return "'" + "".join(self.escapes.get(char, char) for char in text) + "'"


def syntax_of(output: str, dialect: Dialect, dataset: str) -> Syntax:
    """Returns the syntax of a dialect for the files of an output.

    Raises:
      ConfigError: the dialect cannot express the path, or the name of the dataset is not valid.
    """
    return {"duckdb": _duckdb, "bigquery": _bigquery, "spark": _spark}[dialect](output, dataset)


def _duckdb(output: str, dataset: str) -> Syntax:
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
    labels = "(SELECT {columns}, unnest(labels) AS l FROM {table}) AS each_label"
    types, escapes = ("DOUBLE", "VARCHAR"), {"'": "''"}
    return Syntax(
        sources, "CREATE OR REPLACE VIEW", "", "", labels, *types, escapes, clip_columns=f"c.* REPLACE ({_CLIP_ANSWER})"
    )


def _spark(output: str, dataset: str) -> Syntax:
    place = re.sub("^s3://", "s3a://", output)  # the name of Hadoop's client for S3
    # Escape for Hadoop's patterns first, then for the string.
    place = re.sub(r"([*?\[\]{}\\])", r"\\\1", place).replace("\\", "\\\\").replace("'", "\\'")
    sources = "".join(
        f"CREATE OR REPLACE TEMPORARY VIEW all_{table} USING parquet\nOPTIONS (path '{place}/{table}');\n"
        for table in TABLES
    )
    columns = ", ".join(f"{name} {kind}" for name, kind in _RUN_COLUMNS.items())
    sources += f"CREATE OR REPLACE TEMPORARY VIEW all_runs ({columns}) USING json\nOPTIONS (path '{place}/runs');\n"
    labels = "(SELECT {columns}, explode(labels) AS l FROM {table}) AS each_label"
    escapes = {"\\": "\\\\", "'": "\\'", "$": "\\u0024"}  # Spark replaces ${…} before it parses
    return Syntax(sources, "CREATE OR REPLACE TEMPORARY VIEW", "", "", labels, "DOUBLE", "STRING", escapes)


def _bigquery(output: str, dataset: str) -> Syntax:
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
    labels, escapes = "{table}, UNNEST(labels) AS l", {"\\": "\\\\", "'": "\\'"}
    return Syntax(sources, "CREATE OR REPLACE VIEW", prefix, prefix, labels, "FLOAT64", "STRING", escapes)
