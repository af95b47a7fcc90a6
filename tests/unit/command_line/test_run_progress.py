"""The progress of a run over all parts: on the terminal, in the lock and in `reelbeam status`."""

from __future__ import annotations

import json
import pathlib

import pytest

from reelbeam.pipeline.cli import main
from reelbeam.pipeline.job.run_progress import RunProgress
from reelbeam.pipeline.terminal import progress
from reelbeam.pipeline.terminal.progress import Stage
from reelbeam.transforms import metrics
from reelbeam.transforms.output.lock.lock_file import LockProgress, read_lock
from reelbeam.transforms.output.lock.output_lock import LockTicket, OutputLock


@pytest.fixture(autouse=True)
def fresh() -> None:
    metrics.reset_tally()


def done(videos: int, clips: int) -> None:
    metrics.count(metrics.VIDEOS_DONE, videos)
    metrics.count(metrics.CLIPS_CLASSIFIED, clips)


def test_parts_are_added_up() -> None:
    progress = RunProgress()
    metrics.count(metrics.VIDEOS_LISTED, 40)
    assert progress.stage() == Stage("40 videos listed")
    assert progress.for_lock() is None

    progress.begin(30)
    progress.begin_part(20)
    assert progress.stage() == Stage("0/30 videos, headers of 0 read", 0, 30)
    metrics.count(metrics.VIDEOS_PLANNED, 19)
    metrics.count(metrics.VIDEOS_BROKEN)
    metrics.count(metrics.VIDEOS_DONE)
    metrics.count(metrics.CLIPS_PLANNED, 100)
    done(4, 25)
    assert progress.stage().done == 5, "a quarter of the clips of 20 videos"
    assert progress.stage().text.startswith("5/30 videos, 1 failed, 25 clips, ")
    done(15, 75)

    progress.begin_part(10)
    metrics.count(metrics.VIDEOS_PLANNED, 3)
    assert progress.stage() == Stage("20/30 videos, headers of 3 read", 20, 30)
    metrics.count(metrics.VIDEOS_PLANNED, 7)
    metrics.count(metrics.CLIPS_PLANNED, 10)
    done(5, 5)
    assert progress.stage().done == 25
    assert progress.stage().text.startswith("25/30 videos, 1 failed, 105 clips, ")
    found = progress.for_lock()
    assert found is not None
    assert (found.videos_done, found.videos) == (25, 30)


def test_in_a_log_the_percentage_is_of_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0)
    line = progress.WorkLine("labeling")
    line._line.show(lambda: Stage("4/8 videos, 64 clips", 5.7, 8))
    assert capsys.readouterr().err == "4/8 videos, 64 clips (71% of the work)\n"


def test_of_workers_elsewhere_the_parts_are_known() -> None:
    progress = RunProgress()
    progress.begin(30)
    progress.begin_part(20)
    progress.begin_part(10)
    found = progress.for_lock()
    assert found is not None
    assert (found.videos_done, found.videos) == (20, 30)


def test_one_job_that_lists_and_labels_knows_when_it_has_listed() -> None:
    progress = RunProgress()
    metrics.count(metrics.VIDEOS_LISTED, 12)
    metrics.count(metrics.VIDEOS_SKIPPED, 8)
    metrics.count(metrics.VIDEOS_PLANNED, 4)
    metrics.count(metrics.CLIPS_PLANNED, 8)
    done(1, 2)
    assert (progress.stage().done, progress.stage().total) == (1, 4)


def test_status_says_how_far_a_run_is(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = LockProgress(12, 30, "2026-01-31T06:00:00+00:00")
    with OutputLock(LockTicket(str(tmp_path), "20260131T000000Z-a"), progress=lambda: progress) as held:
        assert held.renew()
        assert main(["status", str(tmp_path), "--json"]) == 0
        (entry,) = json.loads(capsys.readouterr().out)["now"]
        assert (entry["state"], entry["progress"]) == ("running", vars(progress))
        assert main(["status", str(tmp_path)]) == 0
        assert ": running, 12 of 30 videos (40%) at 06:00:00 UTC" in capsys.readouterr().out
        LockTicket(str(tmp_path), "20260131T000000Z-a").require()
        lock = read_lock(str(tmp_path))
        assert lock is not None
        assert lock.progress == progress, "another renewal of the lease keeps it"
