"""Label videos in a pipeline of your own, join the labels with a table, and write Parquet.

    python examples/join_with_table.py --output /tmp/joined
    python examples/join_with_table.py --output gs://bucket/joined --videos gs://bucket/videos.csv --model a0-base

The table is a CSV with the column `video_uri`, and further columns, which become the metadata of each row. By
default it is uploads.csv, with the bundled sample videos. Flags of Beam, such as `--runner`, may follow.
"""

# No `from __future__ import annotations`: Beam could not read the types of Upload.
import argparse
import csv
import logging
import pathlib
from collections.abc import Iterable
from typing import NamedTuple

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

import reelbeam

HERE = pathlib.Path(__file__).resolve().parent


class Upload(NamedTuple):
    """A row of the result: the columns of the table, and what is seen in the video."""

    video: str
    user: str
    status: str
    label: str
    score: float


def read_table(path: str) -> list[dict[str, str]]:
    """Returns the rows of the table. Local paths in it are relative to the working directory."""
    with FileSystems.open(path) as file:
        return list(csv.DictReader(line.decode("utf-8") for line in file))


def to_upload(row: reelbeam.VideoRow) -> Upload:
    """Returns the result for a labeled video, also for one that failed."""
    columns = {pair.key: pair.value for pair in row.metadata}
    return Upload(row.video_uri, columns["user"], row.status, row.top_label or "", row.top_score or 0.0)


def run(output: str, table: str, model: str, flags: Iterable[str]) -> None:
    """Labels the videos of the table, and writes OUTPUT/uploads-*.parquet and OUTPUT/errors-*.parquet."""
    with beam.Pipeline(options=PipelineOptions(list(flags))) as pipeline:
        labeled = pipeline | "Table" >> beam.Create(read_table(table)) | reelbeam.LabelVideos(model, top_k=3)
        uploads = labeled.videos | "Join" >> beam.Map(to_upload).with_output_types(Upload)
        uploads | "Write uploads" >> beam.io.WriteToParquet(f"{output}/uploads", file_name_suffix=".parquet")
        labeled.errors | "Write errors" >> beam.io.WriteToParquet(f"{output}/errors", file_name_suffix=".parquet")


def main() -> None:
    """Runs the pipeline with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True)
    parser.add_argument("--videos", default=str(HERE / "uploads.csv"))
    parser.add_argument("--model", default="demo")
    known, flags = parser.parse_known_args()
    run(known.output, known.videos, known.model, flags)


if __name__ == "__main__":
    logging.getLogger().setLevel(logging.WARNING)
    main()
