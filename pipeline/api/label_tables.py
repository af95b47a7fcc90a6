"""LabelTables: the result of `label`, as three Arrow tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pyarrow as pa

from reelbeam.pipeline.api.shown_tables import tables_html, tables_text
from reelbeam.transforms.labeling.video_labeler import LabeledVideo
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.output.run_files import to_table
from reelbeam.transforms.records import LabelerFacts
from reelbeam.transforms.schemas import (
    RUN_COLUMNS,
    Row,
    clip_columns,
    error_columns,
    tables_of_run,
    video_columns,
)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LabelTables:
    """The result of `label`. Its tables have the columns of an output's tables without those of a run, and their order.

    `print(tables)` shows the first videos, and a notebook shows them as a table. `tables.videos.to_pandas()` needs
    pandas; `pyarrow.parquet.write_table(tables.clips, "clips.parquet")` writes a file.

    Attributes:
      videos: one row for each video: ok, partial or failed. Sorted by `video_uri` and range.
      clips: one row for each clip. Sorted by video and `clip_index`. With `save_logits` and `save_embeddings`, it has
        the columns `logits`, float16 [C], and `embedding`, float16 [D].
      errors: one row for each failure. Sorted by video and place.
      cost: the CPU-seconds of decoding (`decode_cpu_seconds`) and of the model (`model_cpu_seconds`), the bytes that
        were read from stores (`bytes_fetched`), and waiting times, see `RunCost`.
    """

    videos: pa.Table
    clips: pa.Table
    errors: pa.Table
    cost: RunCost

    def __repr__(self) -> str:
        """Returns the counts and the first videos, as wide as the terminal."""
        return tables_text(self.videos, self.clips, self.errors)

    def _repr_html_(self) -> str:
        """Returns the counts and the first videos for a notebook."""
        return tables_html(self.videos, self.clips, self.errors)


class TableRows:
    """The rows of the tables, until all videos are labeled.

    Args:
      facts: the columns of the model in the videos table.
      num_logits, embedding_size: of the optional columns, see `reelbeam.transforms.schemas.tables_of_run`.
    """

    def __init__(self, facts: LabelerFacts, num_logits: int | None = None, embedding_size: int | None = None) -> None:
        self._facts = facts
        self._schemas = {
            name: _without_run(schema) for name, schema in tables_of_run(num_logits, embedding_size).items()
        }
        self._rows: Mapping[str, list[Row]] = {name: [] for name in self._schemas}
        self._costs: list[RunCost] = []

    def add(self, labeled: LabeledVideo) -> None:
        """Adds the rows of a video."""
        self._rows["videos"].append(video_columns(labeled.summary, self._facts))
        self._rows["clips"].extend(map(clip_columns, labeled.scores))
        self._rows["errors"].extend(map(error_columns, labeled.failures))
        self._costs.append(labeled.cost)

    def to_tables(self) -> LabelTables:
        """Returns the tables, sorted."""
        tables = {name: to_table(name, self._rows[name], schema) for name, schema in self._schemas.items()}
        return LabelTables(**tables, cost=RunCost.total(self._costs))


def _without_run(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field for field in schema if field.name not in RUN_COLUMNS], metadata=schema.metadata)
