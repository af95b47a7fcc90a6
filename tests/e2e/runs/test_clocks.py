"""After a run on a clock that was ahead, later runs still have the later rows."""

from __future__ import annotations

import datetime
import json
import logging
import pathlib
import shutil
from typing import Any

import duckdb
import ledger_factory
import pytest

from reelbeam.pipeline.cli import main
from reelbeam.transforms.output import runs
from reelbeam.transforms.typed_json import json_object

pytestmark = pytest.mark.slow  # whole runs

AHEAD = datetime.timedelta(days=30)


def counts(output: pathlib.Path, run_id: str) -> dict[str, int]:
    return json.loads((output / "runs" / f"{run_id}.json").read_bytes())["selected"]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Returns Reelbeam's own."""
    ours = [record for record in caplog.records if record.name.startswith("reelbeam.")]
    return [record.getMessage() for record in ours if record.levelno >= logging.WARNING]


def test_rows_that_are_dated_in_the_future_do_not_win(
    tmp_path: pathlib.Path,
    samples_dir: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: Any,
) -> None:
    videos, output = tmp_path / "in", tmp_path / "out"
    videos.mkdir()
    shutil.copy(samples_dir / "growing.mp4", videos / "a.mp4")
    now = runs.utc_now

    def labeled_once(ahead: datetime.timedelta = datetime.timedelta()) -> str:
        monkeypatch.setattr(runs, "utc_now", lambda: now() + ahead)
        assert main(["label", str(videos), "--model=demo", "--output", str(output)]) == 0
        return max(path.stem for path in output.glob("runs/*.json"))

    first = labeled_once(AHEAD)
    shutil.copy(samples_dir / "shrinking.mp4", videos / "a.mp4")
    second = labeled_once()
    (warning,) = warnings(caplog)
    assert f"{output} has rows dated " in warning
    assert "which is 29 days, 23:" in warning
    assert "ahead of this machine's clock. Compare the clocks" in warning
    third = labeled_once()

    assert first < second < third, "the newest run is the last one by name"
    assert [counts(output, run_id) for run_id in (first, second, third)] == [{"new": 1}, {"changed": 1}, {}]

    capsys.readouterr()
    assert main(["status", str(output), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["totals"]["labels"] == {"shrinking": 1}
    assert [run["run_id"] for run in status["runs"]] == [first, second, third]
    took = [
        datetime.datetime.fromisoformat(run["finished_at"]) - datetime.datetime.fromisoformat(run["started_at"])
        for run in status["runs"][1:]
    ]
    assert min(took) >= datetime.timedelta(), "durations come from the machine's own clock"

    assert main(["sql", str(output)]) == 0
    connection = duckdb.connect()
    connection.execute(capsys.readouterr().out)
    rows = connection.execute("SELECT run_id, top_label FROM current_videos").fetchall()
    assert rows == [(second, "shrinking")]


def test_a_clock_that_is_right_is_not_spoken_of(
    tmp_path: pathlib.Path, samples_dir: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        assert main(["label", str(samples_dir / "growing.mp4"), "--model=demo", "--output", str(tmp_path / "out")]) == 0
    assert warnings(caplog) == []


def test_a_run_comes_after_those_that_waited_for_one_whose_clock_was_ahead(tmp_path: pathlib.Path) -> None:
    """Such a run got its name before, and its rows a later time than its name says."""
    (tmp_path / "runs").mkdir()
    for name, labeled_at in (
        ("20260101T000000Z-000001", "2026-01-01T00:00:00+00:00"),
        ("20260102T000000Z-000002", "2999-01-01T00:00:01+00:00"),
        ("29990101T000000Z-000003", "2999-01-01T00:00:00+00:00"),
        ("29990102T000000Z-compact-000004", "2999-02-01T00:00:00+00:00"),
    ):
        summary = ledger_factory.summary_of(tmp_path, name, [], labeled_at=labeled_at)
        (tmp_path / "runs" / f"{name}.json").write_text(json.dumps(json_object(summary)))
    found = runs.latest_run(str(tmp_path))
    assert found is not None
    assert found.summary.run_id == "29990101T000000Z-000003"
    assert runs.time_after(found).isoformat() == "2999-01-01T00:00:02+00:00"
