"""Open, check and read the Parquet files of an output. They are not trusted, see `output.documents`.

Anyone with write access to the output can put any file there. So the columns must match the schema, and their values
are validated before use. Every fault of a file is a StorageError that names the file.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator, Sequence
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reelbeam.transforms import storage
from reelbeam.transforms.errors import ObjectNotFoundError, UnusableFileError
from reelbeam.transforms.output.documents import YEARS
from reelbeam.transforms.schemas import TABLES, tables_of_run

_ROWS_PER_BATCH = 64_000
_OPTIONAL = tables_of_run(num_logits=1, embedding_size=1)["clips"].names[len(TABLES["clips"]) :]
_TIME = "labeled_at"
_FIRST_TIME, _END_OF_TIMES = (
    pa.scalar(datetime.datetime(year, 1, 1, tzinfo=datetime.UTC), pa.timestamp("us", "UTC"))
    for year in (YEARS.start, YEARS.stop)
)
_MAX_SHOWN = 100

_Rows = TypeVar("_Rows", pa.RecordBatch, pa.Table)


@contextlib.contextmanager
def open_table(path: str, columns: Sequence[str] | None = None, checked: bool = False) -> Iterator[pq.ParquetFile]:
    """Opens a file of a table.

    Args:
      path: the path of the file, staged or committed.
      columns: the columns to read, which must match the schema; None: any.
      checked: whether to verify the checksums of the pages.

    Raises:
      StorageError: the file is missing or damaged, or a column is missing, repeated or of another type. An Arrow error
        in the caller's block counts as damage of the file.
    """
    try:
        with storage.storage_errors(path), storage.open_inside(path) as file:
            try:
                parquet = pq.ParquetFile(file, page_checksum_verification=checked)
                for message in wrong_columns(_table_of(path), parquet.schema_arrow, columns) if columns else ():
                    raise _unusable(f"{path}: {message}", path)
                yield parquet
            except (pa.ArrowException, UnicodeDecodeError) as error:
                raise _damaged(path, error) from error
            except OSError as error:
                # Arrow's error for an invalid page has no errno. Errors of disks and stores have one, or a subclass.
                if type(error) is not OSError or error.errno is not None:
                    raise
                raise _damaged(path, error) from error
    except ObjectNotFoundError as error:
        raise ObjectNotFoundError(f"{path} does not exist: {_remedy(path)}") from error


def read_batches(path: str, columns: Sequence[str] | None = None, checked: bool = False) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a file.

    Args:
      path: the path of the file.
      columns: the columns to read; None: all.
      checked: whether to verify the checksums of the pages.

    Raises:
      StorageError: as `open_table`, or a value is not valid.
    """
    with open_table(path, columns, checked) as parquet:
        batches = parquet.iter_batches(_ROWS_PER_BATCH, columns=columns and list(columns), use_threads=False)
        for batch in batches:
            yield valid(batch)


def read_schema(path: str) -> pa.Schema:
    """Returns the schema of a file.

    Raises:
      StorageError: it is missing or damaged.
    """
    with open_table(path) as parquet:
        return parquet.schema_arrow


def valid(rows: _Rows) -> _Rows:
    """Returns the rows after checking that texts are UTF-8 and that `labeled_at` is in a plausible year.

    Raises:
      pa.ArrowInvalid: a value is not valid. Inside `open_table` this becomes an UnusableFileError.
    """
    rows.validate(full=True)
    if _TIME in rows.schema.names and rows.num_rows:
        times = rows[_TIME]
        if pc.less(pc.min(times), _FIRST_TIME).as_py() or pc.greater_equal(pc.max(times), _END_OF_TIMES).as_py():
            raise pa.ArrowInvalid(f"column {_TIME} has a time outside the years {YEARS.start} to {YEARS.stop - 1}")
    return rows


def _damaged(path: str, error: Exception) -> UnusableFileError:
    first_line = str(error).partition("\n")[0]
    return _unusable(f"{path} cannot be read as Parquet, it is truncated or damaged ({first_line})", path)


def _unusable(message: str, path: str) -> UnusableFileError:
    return UnusableFileError(f"{message}: {_remedy(path)}")


def _remedy(path: str) -> str:
    run_id = next((part[4:] for part in reversed(path.split("/")) if part.startswith("run=")), "RUN_ID")
    return (
        f"restore it from a copy, or remove runs/{run_id}.json and the folders run={run_id}, and the next run labels "
        "those videos again"
    )


def _kind_of(field: pa.Field) -> str:
    return _shown(field.type) + ("" if field.nullable else " not null")


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _table_of(path: str) -> str:
    """Returns the table of a committed file, TABLE/run=…/part-…, or a staged one, run=…/TABLE/part-…."""
    return next(part for part in reversed(path.split("/")[:-1]) if part in TABLES)


def optional_columns(schema: pa.Schema) -> dict[str, int]:
    """Returns the sizes of `logits` and `embedding`, if clips have them with the right type.

    Nullability of the elements is not checked, because sending a schema to a worker loses it.
    """
    lists = [field for field in schema if field.name in _OPTIONAL and pa.types.is_fixed_size_list(field.type)]
    return {field.name: field.type.list_size for field in lists if field.type.value_type == pa.float16()}


def wrong_columns(table: str, schema: pa.Schema, columns: Sequence[str] | None = None) -> list[str]:
    """Returns the faults of a file's columns; empty if there are none.

    Args:
      table: the table of the file.
      schema: the schema of the file.
      columns: the columns to check; None: all, including optional and unknown ones.
    """
    wrong = []
    for field in TABLES[table]:
        if columns is None or field.name in columns:
            places = schema.get_all_field_indices(field.name)
            if len(places) != 1 or not schema.field(places[0]).equals(field):
                found = "missing" if not places else f"present {len(places)} times"
                found = _kind_of(schema.field(places[0])) if len(places) == 1 else found
                wrong.append(f"column {field.name}: {found}, must be {_kind_of(field)}")
    if columns is not None:
        return wrong
    known = optional_columns(schema).keys() if table == "clips" else set()
    for name in sorted(set(schema.names) - set(TABLES[table].names) - known):
        if table == "clips" and name in _OPTIONAL:
            shown = _shown(schema.field(schema.get_all_field_indices(name)[0]).type)
            wrong.append(f"column {name}: {shown}, must be a fixed-size list of halffloat")
        else:
            wrong.append(f"has a column {_shown(name)}, which is not in the schema")
    return wrong
