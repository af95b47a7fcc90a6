"""Where no label passed, every reader has the same answer: in rows with that answer, and in earlier ones with null."""

from __future__ import annotations

import pathlib

import duckdb
import pyarrow as pa
import pytest
import record_factory as make
import report_factory as factory
import sqlglot

from reelbeam.transforms import schemas
from reelbeam.transforms.output.comparison.differences import find_differences
from reelbeam.transforms.output.comparison.samples import video_sample
from reelbeam.transforms.output.comparison.side_rows import SideRows
from reelbeam.transforms.output.inspection.overview import overview
from reelbeam.transforms.output.report_content.shown_rows import ShownRows
from reelbeam.transforms.output.sql.dialects import Dialect
from reelbeam.transforms.output.sql.views import create_views
from reelbeam.transforms.output.tables import Output, answers, recognized
from reelbeam.transforms.records import NOTHING_RECOGNIZED, ClipScores, LabelThresholds, VideoSummary
from reelbeam.transforms.schemas import Row

ANSWERS = [("failed", None), ("known", "left"), ("nothing", NOTHING_RECOGNIZED), ("part", NOTHING_RECOGNIZED)]


def test_a_row_without_a_label_that_passed_says_so() -> None:
    for status, wanted in (("ok", NOTHING_RECOGNIZED), ("partial", NOTHING_RECOGNIZED), ("failed", None)):
        summary = VideoSummary(make.video(), make.MEDIA, status, (), 1, 0 if status == "failed" else 1, None)
        row = schemas.video_row(summary, make.RUN)
        assert (row["status"], row["top_label"], row["top_score"], row["labels"]) == (status, wanted, None, [])
    scores = make.scores()
    bare = ClipScores(**vars(scores) | {"labels": ()})
    row = schemas.clip_row(bare, make.RUN)
    assert (row["top_label"], row["top_score"], row["labels"]) == (NOTHING_RECOGNIZED, None, [])


def commit(output: pathlib.Path, answer: str | None) -> pathlib.Path:
    """Commits a run with a recognized video, two in which nothing was recognized, and a failed one."""
    known = factory.clip("known", 0, ("left", 0.9))
    bare = [factory.clip(uri, 0, top_label=answer, top_score=None) for uri in ("nothing", "part")]
    label = {"label": "left", "class_id": 0, "score": 0.9, "max_score": 0.9}
    rows: list[Row] = [factory.video("known", [known], labels=[label]), factory.video("failed", [])]
    rows.append(factory.video("nothing", bare[:1]))
    rows.append(factory.video("part", bare[1:], status="partial", error_code="corrupt_video", error_message="broken"))
    factory.commit_run(output, 1, [known, *bare], rows)
    return output


@pytest.fixture(params=[NOTHING_RECOGNIZED, None], ids=["the answer", "null"])
def output(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> pathlib.Path:
    """Outputs of this release, and of one that wrote null."""
    return commit(tmp_path, request.param)


def test_views(output: pathlib.Path) -> None:
    database = duckdb.connect()
    database.execute(create_views(str(output), "duckdb", 0.5, thresholds=LabelThresholds(1, 0)))

    def select(query: str) -> list[tuple[object, ...]]:
        return database.execute(query).fetchall()

    assert select("SELECT video_uri, top_label FROM current_videos ORDER BY 1") == ANSWERS
    assert select("SELECT video_uri, top_label FROM current_clips ORDER BY 1") == ANSWERS[1:]
    assert select("SELECT video_uri, answer FROM video_answers ORDER BY 1") == [
        (uri, answer if answer == NOTHING_RECOGNIZED else "failed" if answer is None else "recognized")
        for uri, answer in ANSWERS
    ]
    assert select("SELECT DISTINCT label FROM passed_labels") == select("SELECT DISTINCT label FROM label_timeline")


@pytest.mark.parametrize("dialect", ["spark", "bigquery"])
def test_views_of_other_dialects_have_the_answer_as_well(dialect: Dialect) -> None:
    statements = sqlglot.parse(create_views("gs://bucket/out", dialect, 0.5), dialect)
    for name in ("current_videos", "current_clips"):
        (view,) = (each for each in statements if each is not None and each.this.name == name)
        assert NOTHING_RECOGNIZED in {each.this for each in view.find_all(sqlglot.exp.Literal)}


def test_status(output: pathlib.Path) -> None:
    assert overview(Output.read(str(output)), 1).totals.labels == {NOTHING_RECOGNIZED: 2, "left": 1}


def test_report(output: pathlib.Path) -> None:
    content = factory.content_of(output)
    assert content.totals.nothing_recognized == 2
    assert [share.name for share in content.corpus.labels.largest] == ["left"]
    assert [share.name for share in content.corpus.labels_by_time.largest] == ["left"]
    lanes = [run.label for timeline in content.timelines for lane in timeline.lanes for run in lane]
    assert set(lanes) <= {"left", ""}


def test_shares_and_differences(output: pathlib.Path, tmp_path: pathlib.Path) -> None:
    shown = ShownRows.current(Output.read(str(output)))
    assert video_sample(SideRows.read(shown)).labels == {NOTHING_RECOGNIZED: 2, "left": 1}
    other = ShownRows.current(Output.read(str(commit(tmp_path / "other", NOTHING_RECOGNIZED))))
    found = find_differences(shown, other)
    assert found.relabeled == found.status_changed == () and not any(each.difference for each in found.drift.labels)


def test_columns_of_both_kinds_are_made_alike() -> None:
    labels, status = pa.array([None, NOTHING_RECOGNIZED, "a", None]), pa.array(["ok", "partial", "ok", "failed"])
    assert answers(labels, status).to_pylist() == [NOTHING_RECOGNIZED, NOTHING_RECOGNIZED, "a", None]
    assert recognized(labels).to_pylist() == [None, None, "a", None]
    assert recognized(pa.array([None, None], pa.string())).to_pylist() == [None, None]
