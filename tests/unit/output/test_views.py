"""`reelbeam sql`: the views give the right rows in DuckDB and Spark, and BigQuery can parse them."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import output_factory as factory
import pytest
import sqlglot
from ledger_factory import ledger_files
from output_factory import Sizes, Video
from record_factory import RUN

from reelbeam.pipeline.cli import main
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.output.ledger import decide, read_rows, uri_key
from reelbeam.transforms.output.run_document import LabelingKey
from reelbeam.transforms.output.sql.views import Dialect, create_views
from reelbeam.transforms.output.tables import Output, current_rows
from reelbeam.transforms.records import SkipRules, VideoRef
from reelbeam.transforms.schemas import TABLES

ODD = "it's [a] {b} *c é"
"""A folder's name with what is special in patterns and in strings."""


def two_runs(output: pathlib.Path) -> None:
    broken = [Video("c.mp4", None), Video("d.mp4", None), Video("e.mp4", None)]
    factory.commit_run(output, 1, [Video("a.mp4", "left", 3), Video("b.mp4", "right", 2), *broken])
    again = [Video("c.mp4", "left", 1, "mtime:2.0"), Video("e.mp4", None, code="no_frames")]
    factory.commit_run(output, 2, [Video("a.mp4", "still", 2, "mtime:2.0"), *again])


VIDEOS = [
    *[("a.mp4", "still", 2), ("b.mp4", "right", 2), ("c.mp4", "left", 1)],
    *[("d.mp4", None, 0), ("e.mp4", None, 0)],
]
ERRORS = [("d.mp4", "corrupt_video"), ("e.mp4", "no_frames")]
CLIPS = [("a.mp4", 0), ("a.mp4", 1), ("b.mp4", 0), ("b.mp4", 1), ("c.mp4", 0)]
TIMELINE = [("a.mp4", "still", 0, 4000, 2), ("b.mp4", "right", 0, 4000, 2), ("c.mp4", "left", 0, 2000, 1)]
QUERIES = {
    "SELECT video_uri, top_label, num_clips FROM current_videos ORDER BY 1": VIDEOS,
    "SELECT video_uri, clip_index FROM current_clips ORDER BY 1, 2": CLIPS,
    "SELECT video_uri, code FROM current_errors ORDER BY 1, 2": ERRORS,
    "SELECT video_uri, label, start_ms, end_ms, num_clips FROM label_timeline ORDER BY 1, 2, 3": TIMELINE,
}


def switched(output: pathlib.Path) -> None:
    """Labeled by one model, in part by a second one, and by the first again, which finds everything labeled."""
    factory.commit_run(output, 1, [Video("a.mp4", "left", 1), Video("b.mp4", "right", 1)], model="first")
    factory.commit_run(output, 2, [Video("a.mp4", "still", 1), Video("c.mp4", "still", 1)], model="second")
    factory.commit_run(output, 3, [], model="first", skipped={"already_labeled": 2})


SWITCHED = {
    "SELECT video_uri, top_label, model_fingerprint FROM current_videos ORDER BY 1": [
        ("a.mp4", "left", "first"),
        ("b.mp4", "right", "first"),
        ("c.mp4", "still", "second"),
    ],
    "SELECT video_uri, top_label FROM current_clips ORDER BY 1": [
        ("a.mp4", "left"),
        ("b.mp4", "right"),
        ("c.mp4", "still"),
    ],
}


def printed(output: pathlib.Path, dialect: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["sql", str(output), "--dialect", dialect]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("folder", ["labels", ODD])
def test_the_duckdb_views_show_the_last_run_of_every_video(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    two_runs(tmp_path / folder)
    connection = duckdb.connect()
    connection.execute(printed(tmp_path / folder, "duckdb", capsys))
    for query, rows in QUERIES.items():
        assert connection.execute(query).fetchall() == rows
    columns = [row[0] for row in connection.execute("DESCRIBE current_videos").fetchall()]
    assert columns == TABLES["videos"].names
    ((score,),) = connection.execute("SELECT score FROM label_timeline WHERE video_uri = 'a.mp4'").fetchall()
    assert score == pytest.approx(0.8)


def test_a_switch_back_to_a_model_restores_its_rows(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Though the last run labeled nothing: in the views, which were made before it, and in the totals of `status`."""
    factory.commit_run(tmp_path, 1, [Video("x.mp4")], model="first")
    connection = duckdb.connect()
    connection.execute(printed(tmp_path, "duckdb", capsys))
    shutil.rmtree(tmp_path)
    switched(tmp_path)
    for query, rows in SWITCHED.items():
        assert connection.execute(query).fetchall() == rows
    (current,) = current_rows(Output.read(str(tmp_path)))
    assert sorted(current["top_label"].to_pylist()) == ["left", "right", "still"]
    factory.commit_run(tmp_path, 4, [], model="second", skipped={"already_labeled": 2})
    assert connection.execute("SELECT top_label FROM current_videos ORDER BY video_uri").fetchall() == [
        ("still",),
        ("right",),
        ("still",),
    ]
    (current,) = current_rows(Output.read(str(tmp_path)))
    assert sorted(current["top_label"].to_pylist()) == ["right", "still", "still"]


@pytest.mark.parametrize("names", [("r1", "r2"), ("r2", "r1")])
def test_of_two_runs_in_one_second_all_take_the_same_for_the_last(
    tmp_path: pathlib.Path, names: tuple[str, str]
) -> None:
    """Which run was last is undefined, but the views, the totals and the ledger must agree."""
    first, second = (dataclasses.replace(RUN, run_id=name) for name in names)
    factory.commit_as(tmp_path, first, [Video("a.mp4", "left", version="mtime:1.0")])
    factory.commit_as(tmp_path, second, [Video("a.mp4", "right", version="mtime:2.0")])
    label, version = ("right", "mtime:2.0") if names == ("r1", "r2") else ("left", "mtime:1.0")
    connection = duckdb.connect()
    connection.execute(create_views(str(tmp_path), "duckdb", 0.5))
    assert connection.execute("SELECT top_label FROM current_videos").fetchall() == [(label,)]
    (rows,) = current_rows(Output.read(str(tmp_path)))
    assert rows["top_label"].to_pylist() == [label]
    keys = np.array([uri_key("a.mp4")])
    known = [
        row
        for path in ledger_files(str(tmp_path), LabelingKey.of(RUN))
        for row in read_rows(path, keys, LabelingKey.of(RUN))
    ]
    assert len(known) == 2
    assert decide(VideoRef("a.mp4", 1000, version), known, SkipRules(), "av 1").reason == "already_labeled"


@pytest.mark.parametrize("sizes_of_runs", [(Sizes(), Sizes(3, 4)), (Sizes(3, 4), Sizes()), (Sizes(3), Sizes(5, 4))])
def test_duckdb_reads_runs_with_and_without_logits_together(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], sizes_of_runs: tuple[Sizes, Sizes]
) -> None:
    factory.commit_run(tmp_path, 1, [Video("a.mp4", "left", 1)], sizes=sizes_of_runs[0])
    connection = duckdb.connect()
    connection.execute(printed(tmp_path, "duckdb", capsys))
    assert connection.execute("SELECT count(*) FROM current_clips").fetchone() == (1,)
    factory.commit_run(tmp_path, 2, [Video("b.mp4", "right", 1)], sizes=sizes_of_runs[1])
    found = connection.execute("SELECT video_uri, logits, embedding FROM current_clips ORDER BY 1").fetchall()
    assert found == [
        (uri, *([0.5] * size if size else None for size in sizes))
        for uri, sizes in zip(("a.mp4", "b.mp4"), sizes_of_runs, strict=True)
    ]
    assert connection.execute("SELECT video_uri, label FROM label_timeline ORDER BY 1").fetchall() == [
        ("a.mp4", "left"),
        ("b.mp4", "right"),
    ]


def test_a_gap_makes_two_stretches_and_an_overlap_one(tmp_path: pathlib.Path) -> None:
    connection = duckdb.connect()
    statements = create_views(str(tmp_path), "duckdb", 0.5).split(";")
    (timeline,) = [text for text in statements if "label_timeline" in text]
    connection.execute(
        """CREATE TABLE current_clips AS SELECT 'v' AS video_uri, NULL AS range_start_ms,
           NULL AS range_end_ms, s AS start_ms, e AS end_ms,
           [{'label': 'x', 'class_id': 0, 'score': p}, {'label': 'y', 'class_id': 1, 'score': 1 - p}] AS labels
           FROM (VALUES (0, 10, 0.9), (10, 20, 0.7), (20, 30, 0.2), (30, 40, 0.6), (35, 45, 0.8), (50, 60, 0.9))
           AS t(s, e, p)"""
    )
    connection.execute(timeline)
    found = connection.execute("SELECT label, start_ms, end_ms, round(score, 2) FROM label_timeline ORDER BY 1, 2")
    assert found.fetchall() == [("x", 0, 20, 0.8), ("x", 30, 45, 0.7), ("x", 50, 60, 0.9), ("y", 20, 30, 0.8)]


@pytest.mark.parametrize("dialect", ["duckdb", "spark", "bigquery"])
def test_each_dialect_can_parse_its_views(dialect: Dialect) -> None:
    output = "gs://bucket/it's" if dialect == "bigquery" else "/data/it's"
    statements = sqlglot.parse(create_views(output, dialect, 0.5, "my-project.labels"), dialect)
    created = [statement for statement in statements if statement is not None]
    assert len(created) == 8 and {type(statement).__name__ for statement in created} == {"Create"}
    tables = [statement.find(sqlglot.exp.Table) for statement in created]
    names = [table.name for table in tables if table is not None]
    current = ["current_videos", "current_clips", "current_errors"]
    assert names == ["all_videos", "all_clips", "all_errors", "all_runs", *current, "label_timeline"]


def test_duckdb_takes_a_backslash_for_a_slash() -> None:
    with pytest.raises(ConfigError, match="backslash"):
        create_views("/data/a\\b", "duckdb", 0.5)


def test_spark_reads_s3_by_the_name_of_hadoops_client() -> None:
    assert "(path 's3a://bucket/labels/videos')" in create_views("s3://bucket/labels", "spark", 0.5)


def test_bigquery_reads_no_local_folder_and_takes_no_odd_dataset() -> None:
    with pytest.raises(ConfigError, match="reads gs:// only"):
        create_views("/data", "bigquery", 0.5)
    with pytest.raises(ConfigError, match="--dataset"):
        create_views("gs://bucket/labels", "bigquery", 0.5, "x`; DROP")


SPARK = """
import json, sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
for statement in open(sys.argv[1], encoding="utf-8").read().split(";\\n"):
    if statement.strip():
        spark.sql(statement)
for query in json.loads(sys.argv[2]):
    print("ROWS " + json.dumps([list(row) for row in spark.sql(query).collect()]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "folder", "queries"),
    [(two_runs, "labels", QUERIES), (two_runs, ODD, QUERIES), (switched, "labels", SWITCHED)],
)
def test_the_spark_views_show_what_duckdbs_show(
    make: Callable[[pathlib.Path], None],
    folder: str,
    queries: dict[str, list[tuple[Any, ...]]],
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    python = os.environ.get("REELBEAM_SPARK_PYTHON", sys.executable)
    if shutil.which("java") is None:
        pytest.skip("Spark needs java, and there is none")
    if subprocess.run([python, "-c", "import pyspark"], capture_output=True, check=False).returncode:
        pytest.skip(
            "pyspark is not installed: pip install 'reelbeam[spark]', or name a python in REELBEAM_SPARK_PYTHON"
        )
    make(tmp_path / folder)
    script = tmp_path / "views.sql"
    script.write_text(printed(tmp_path / folder, "spark", capsys), "utf-8")
    command = [python, "-c", SPARK, str(script), json.dumps(list(queries))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    lines = [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("ROWS ")]
    assert [[tuple(row) for row in rows] for rows in lines] == list(queries.values()), done.stderr[-3000:]
