"""LabelVideos on an unbounded source on a real Flink cluster, with checkpoints, while a TaskManager is killed."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.transforms.window import FixedWindows
from flink_sessions import ROOT, script, started_cluster
from notifications import Notify, WriteSeen, written
from processes import wait_until
from streams import Seen, SeeRows

import reelbeam
from reelbeam.pipeline.runners.registry import runner_of
from tools.flink import processes
from tools.flink.cluster import Cluster

pytestmark = pytest.mark.slow
NUM_VIDEOS = 80
CLIPS_OF_A_VIDEO = 2
BROKEN = 10
PAUSE_SECONDS = 0.5


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A session cluster of the script's."""
    yield from started_cluster(tmp_path_factory.mktemp("flink"))


@pytest.fixture
def uris(tmp_path: pathlib.Path) -> list[str]:
    """Names of videos, one of which is broken."""
    folder = tmp_path / "in"
    folder.mkdir()
    samples = ROOT / "pipeline" / "demo" / "videos"
    names = ["broken" if n == BROKEN else "growing" for n in range(NUM_VIDEOS)]
    return [str(shutil.copy(samples / f"{name}.mp4", folder / f"{n:03d}.mp4")) for n, name in enumerate(names)]


def expected(uris: list[str]) -> set[Seen]:
    """Returns the rows of all videos: the n-th element has the timestamp n seconds."""
    rows = set[Seen]()
    for n, uri in enumerate(uris):
        start, name = float(n - n % 10), os.path.basename(uri)
        place: dict[str, Any] = {"name": name, "window": (start, start + 10), "timestamp": float(n)}
        if n == BROKEN:
            rows |= {Seen(table, what="not_a_video", **place) for table in ("videos", "errors")}
            continue
        rows.add(Seen("videos", what="growing", **place))
        rows |= {Seen("clips", what="growing", clip_index=k, **place) for k in range(CLIPS_OF_A_VIDEO)}
    return rows


def num_checkpoints(cluster: Cluster) -> int:
    """Returns the number of completed checkpoints of the only job."""
    (job,) = cluster.get("/jobs/overview")["jobs"]
    return int(cluster.get(f"/jobs/{job['jid']}/checkpoints")["counts"]["completed"])


def test_every_row_comes_although_a_task_manager_is_killed(
    cluster: Cluster, uris: list[str], tmp_path: pathlib.Path
) -> None:
    """After the restart, elements since the last checkpoint come again, so their rows do; by its key, each is once."""
    rows = tmp_path / "rows"
    rows.mkdir()
    flags = ["--runner=FlinkRunner", f"--flink_master={cluster.address}", "--streaming"]
    pipeline = beam.Pipeline(options=runner_of([*flags, "--checkpointing_interval=2000"]).options)
    notified = pipeline | Notify(uris, PAUSE_SECONDS) | beam.Reshuffle() | beam.WindowInto(FixedWindows(10))
    _ = notified | reelbeam.LabelVideos("demo") | SeeRows() | beam.ParDo(WriteSeen(str(rows)))
    result = pipeline.run()
    try:
        wait_until(lambda: len(written(rows)) >= len(expected(uris)) / 4, seconds=400)
        wait_until(lambda: num_checkpoints(cluster) > 0, seconds=100)
        names = processes.leaders(cluster.folder)
        os.kill(next(pid for name, pid in names.items() if name.startswith("taskmanager")), signal.SIGKILL)
        assert len(written(rows)) < len(expected(uris)), "all is done already"
        assert "has joined" in script(cluster, "add").stdout
        wait_until(lambda: len(written(rows)) >= len(expected(uris)), seconds=400)
    finally:
        result.cancel()
    assert set(written(rows)) == expected(uris)
