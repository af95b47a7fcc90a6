"""The rows of LabelVideos in Parquet, Beam's DataFrames, SQL and BigQuery, as they are."""

from __future__ import annotations

import json
import os
import pathlib
import pickle
import subprocess
import sys
from typing import Any

import apache_beam as beam
import duckdb
import labeled_rows
import pyarrow as pa
import pytest
import sql_service
from apache_beam.typehints import arrow_type_compatibility, schemas
from labeled_rows import Rows, Sink
from local_pipeline import LocalPipeline

import reelbeam

pytestmark = pytest.mark.slow
ROW_TYPES: dict[str, Any] = {"videos": reelbeam.VideoRow, "clips": reelbeam.ClipRow, "errors": reelbeam.ErrorRow}


@pytest.fixture(scope="module")
def rows(samples_dir: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """Rows with and without labels, ranges, metadata, errors, logits and embeddings."""
    elements = [
        str(samples_dir / "growing.mp4"),
        str(samples_dir / "broken.mp4"),
        {"video_uri": str(samples_dir / "shrinking.mp4"), "start_seconds": 1, "camera": "é", "empty": ""},
        None,
    ]
    return labeled_rows.label(tmp_path_factory.mktemp("rows"), elements, save_embeddings=True, min_score=0.5)


def created(pipeline: beam.Pipeline, rows: Rows, table: str) -> beam.PCollection[Any]:
    return pipeline | f"Rows of {table}" >> beam.Create(getattr(rows, table)).with_output_types(ROW_TYPES[table])


def read(folder: pathlib.Path, table: str) -> list[dict[str, Any]]:
    found = duckdb.read_parquet(f"{folder}/{table}*").to_arrow_table()
    return sorted(found.to_pylist(), key=repr)


def as_dicts(found: list[Any]) -> list[dict[str, Any]]:
    return sorted(map(reelbeam.as_dict, found), key=repr)


def test_parquet_with_the_schema_of_the_rows(samples_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    sink = Sink(tmp_path / "rows")
    with LocalPipeline() as pipeline:
        videos = pipeline | beam.Create([str(samples_dir / "growing.mp4"), str(samples_dir / "broken.mp4")])
        labeled = videos | reelbeam.LabelVideos("demo")
        sink.collect_rows(labeled)
        for table, found in labeled._asdict().items():
            found | f"Write {table}" >> beam.io.WriteToParquet(str(tmp_path / table))
    for table, found in sink.rows()._asdict().items():
        assert read(tmp_path, table) == as_dicts(found) != []


def test_parquet_with_a_schema(rows: Rows, tmp_path: pathlib.Path) -> None:
    with LocalPipeline() as pipeline:
        for table, row_type in ROW_TYPES.items():
            of_beam = schemas.schema_from_element_type(row_type)
            schema: pa.Schema = arrow_type_compatibility.arrow_schema_from_beam_schema(of_beam)
            dicts = created(pipeline, rows, table) | f"Dicts of {table}" >> beam.Map(reelbeam.as_dict)
            dicts | f"Write {table}" >> beam.io.WriteToParquet(str(tmp_path / table), schema, codec="zstd")
    for table in ROW_TYPES:
        assert read(tmp_path, table) == as_dicts(getattr(rows, table)) != []


def test_beams_data_frames(rows: Rows, tmp_path: pathlib.Path) -> None:
    try:
        from apache_beam.dataframe.convert import to_dataframe, to_pcollection
    except (AttributeError, ImportError) as error:
        pytest.skip(f"this pandas does not work with Beam's DataFrames ({error}): pip install 'pandas<2.3'")
    sink = Sink(tmp_path)
    with LocalPipeline() as pipeline:
        videos, clips = (to_dataframe(created(pipeline, rows, name), label=name) for name in ("videos", "clips"))
        counts = videos.groupby("status")[["num_clips"]].sum()
        sink.collect("counts", to_pcollection(counts, label="Counts", include_indexes=True))
        best = clips[clips.top_score > 0.5][["video_uri", "top_label"]]
        sink.collect("best", to_pcollection(best, label="Best"))
    assert [tuple(row) for row in sink.read("counts")] == [("failed", 0), ("ok", sum(r.num_clips for r in rows.videos))]
    assert len(sink.read("best")) == len(rows.clips)


_SQL_PIPELINE = """
import json, pathlib, pickle, sys
import apache_beam as beam
import reelbeam
import sql_service

folder = pathlib.Path(sys.argv[1])
rows = pickle.loads((folder / "rows").read_bytes())
with sql_service.running(folder) as address, beam.Pipeline(runner="FnApiRunner") as pipeline:
    videos = pipeline | beam.Create(rows).with_output_types(reelbeam.VideoRow)
    counts = videos | sql_service.query(sys.argv[2], address) | beam.Map(lambda row: json.dumps(tuple(row)))
    counts | beam.io.WriteToText(str(folder / "counts"), shard_name_template="")
"""


@pytest.mark.timeout(600)
def test_beams_sql(rows: Rows, tmp_path: pathlib.Path) -> None:
    """The runner of another language decodes the rows: no column may be a value that Python pickled."""
    try:
        sql_service.fetch()
    except sql_service.MissingError as error:
        pytest.skip(str(error))
    text = (
        "SELECT status, COUNT(*) AS n, SUM(num_clips) AS clips, MAX(duration_ms) AS ms FROM PCOLLECTION GROUP BY status"
    )
    (tmp_path / "rows").write_bytes(pickle.dumps(rows.videos))
    environment = os.environ | {"PYTHONPATH": str(pathlib.Path(sql_service.__file__).parent)}
    command = [sys.executable, "-c", _SQL_PIPELINE, str(tmp_path), text]  # workers in Java cannot use a guarded server
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = sorted(tuple(json.loads(line)) for line in (tmp_path / "counts").read_text("utf-8").splitlines())
    ok = [row for row in rows.videos if row.status == "ok"]
    assert found == [
        ("failed", 2, 0, None),
        ("ok", 2, sum(row.num_clips for row in ok), max(row.duration_ms or 0 for row in ok)),
    ]


def test_rows_as_json_have_the_schema_of_bigquery(rows: Rows) -> None:
    for table, row_type in ROW_TYPES.items():
        schema = reelbeam.bigquery_schema(row_type)
        assert [field["name"] for field in schema["fields"]] == list(row_type.__annotations__)
        for row in getattr(rows, table):
            check_bigquery(json.loads(json.dumps(reelbeam.as_dict(row), allow_nan=False)), schema["fields"])
    (metadata,) = [field for field in reelbeam.bigquery_schema(reelbeam.VideoRow)["fields"] if "meta" in field["name"]]
    assert (metadata["type"], metadata["mode"]) == ("RECORD", "REPEATED")
    with pytest.raises(TypeError, match="pass reelbeam.VideoRow"):
        reelbeam.bigquery_schema(dict)  # type: ignore[arg-type]


_JSON_TYPES = {"STRING": str, "INTEGER": int, "FLOAT": float, "BOOLEAN": bool, "RECORD": dict}


def check_bigquery(row: dict[str, Any], fields: list[dict[str, Any]]) -> None:
    """Checks a row as BigQuery does when it loads JSON: a repeated field must not be null."""
    assert list(row) == [field["name"] for field in fields]
    for field in fields:
        value = row[field["name"]]
        if field["mode"] == "NULLABLE" and value is None:
            continue
        values = value if field["mode"] == "REPEATED" else [value]
        assert {*map(type, values)} <= {_JSON_TYPES[field["type"]]}, field["name"]
        for each in values if field["type"] == "RECORD" else []:
            check_bigquery(each, field["fields"])


def test_bigquerys_file_loads_write_the_rows(rows: Rows, tmp_path: pathlib.Path) -> None:
    """The files that a load job of `WriteToBigQuery(method="FILE_LOADS")` reads, written by Beam's own step."""
    pytest.importorskip("google.cloud.bigquery", reason="the client is absent: pip install 'reelbeam[gcp]'")
    from apache_beam.io.gcp.bigquery_file_loads import WriteRecordsToFile

    sink = Sink(tmp_path)
    with LocalPipeline() as pipeline:
        for table, row_type in ROW_TYPES.items():
            schema = reelbeam.bigquery_schema(row_type)
            dicts = created(pipeline, rows, table) | f"Dicts of {table}" >> beam.Map(reelbeam.as_dict)
            keyed = dicts | f"Keys of {table}" >> beam.Map(lambda row, name: (f"project:dataset.{name}", row), table)
            step = beam.ParDo(WriteRecordsToFile(schema), str(tmp_path / f"json-{table}"))
            written = keyed | f"Write {table}" >> step.with_outputs("WrittenFiles", "UnwrittenRecords")
            sink.collect(table, written["WrittenFiles"])
            sink.collect(f"{table} not written", written["UnwrittenRecords"])
    for table in ROW_TYPES:
        files = [name for _, (name, _size) in sink.read(table)]
        found = [json.loads(line) for name in files for line in pathlib.Path(name).read_text("utf-8").splitlines()]
        assert sorted(found, key=repr) == as_dicts(getattr(rows, table)) != []
        assert sink.read(f"{table} not written") == []


def test_bigquery_takes_the_schema_and_rows_of_its_storage_api(rows: Rows) -> None:
    tools = pytest.importorskip("apache_beam.io.gcp.bigquery_tools", reason="pip install 'reelbeam[gcp]'")
    pytest.importorskip("google.cloud.bigquery", reason="the client is absent: pip install 'reelbeam[gcp]'")
    for table, row_type in ROW_TYPES.items():
        schema = tools.get_dict_table_schema(reelbeam.bigquery_schema(row_type))
        assert schema == tools.get_dict_table_schema(tools.get_bq_tableschema(schema))
        for row in getattr(rows, table):
            of_storage_api = tools.beam_row_from_dict(reelbeam.as_dict(row), schema)
            assert list(of_storage_api.as_dict()) == list(row._fields)


def test_write_to_bigquery_can_be_built(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("google.cloud.bigquery", reason="the client is absent: pip install 'reelbeam[gcp]'")
    options = beam.options.pipeline_options.PipelineOptions(["--project=p", f"--temp_location={tmp_path}"])
    pipeline = beam.Pipeline(options=options)
    labeled = pipeline | beam.Create(["a.mp4"]) | reelbeam.LabelVideos("demo")
    dicts = labeled.videos | beam.Map(reelbeam.as_dict)
    dicts | beam.io.WriteToBigQuery(
        "project:dataset.videos",
        schema=reelbeam.bigquery_schema(reelbeam.VideoRow),
        method="FILE_LOADS",
        custom_gcs_temp_location="gs://bucket/temp",
    )


def test_rows_can_be_pickled(rows: Rows) -> None:
    assert pickle.loads(pickle.dumps(rows)) == rows
