"""SelectVideos: the join with the ledger, exact rows and exact counts; and the parts that are written and read."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any

import apache_beam as beam
import ledger_factory as ledger_of
import pytest
import record_factory as make
from apache_beam.testing.util import assert_that, equal_to
from local_pipeline import LocalPipeline, counters
from slow_cases import fast_rows

from reelbeam.transforms import metrics
from reelbeam.transforms.output.run_document import LabelingKey
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.records import SkipRules, VideoRef
from reelbeam.transforms.selection.duplicates import LinkResolver
from reelbeam.transforms.selection.list_videos import ListVideos
from reelbeam.transforms.selection.parts import Part, ReadSelection, WriteSelection, read_selection, to_parts
from reelbeam.transforms.selection.select_videos import Selection, SelectVideos

URIS = [f"/v/{i:03d}.mp4" for i in range(100)]


@pytest.fixture
def output(tmp_path: pathlib.Path) -> pathlib.Path:
    """80 videos are labeled, in two runs, 5 failed; another model has labeled all."""
    ledger_of.commit_rows(tmp_path, "r1", ledger_of.rows(URIS[:50]), row_group_size=7)
    ledger_of.commit_rows(tmp_path, "r2", ledger_of.rows(URIS[50:80]) + ledger_of.rows(URIS[80:85], "failed"))
    other = dataclasses.replace(make.RUN, model_fingerprint="m1")
    ledger_of.commit_rows(tmp_path, "r3", ledger_of.rows(URIS, run=other), model_fingerprint="m1")
    return tmp_path


def step(output: pathlib.Path, **rules: Any) -> SelectVideos:
    return SelectVideos(
        output=str(output),
        key=LabelingKey.of(make.RUN),
        decoder_version=make.RUN.decoder_version,
        rules=SkipRules(**rules),
    )


def select(pipeline: beam.Pipeline, videos: list[VideoRef], output: pathlib.Path, **rules: Any) -> Selection:
    """Selects from the videos of a list."""
    links = LinkResolver()
    return pipeline | beam.Create([links.entry(video, from_list=True) for video in videos]) | step(output, **rules)


def listed() -> list[VideoRef]:
    """As the ledger knows them, but one that has other content and one with another query."""
    videos = [make.video(uri, camera="7") for uri in URIS]
    videos[3] = dataclasses.replace(videos[3], size_bytes=1001)
    return videos


CASES = [
    ({}, [URIS[3], *URIS[85:]], {"new": 15, "changed": 1, "already_labeled": 79, "failed_before": 5}),
    ({"force": True}, URIS, {"forced": 100}),
    (
        {"retry_failed": frozenset({"corrupt_video"})},
        [URIS[3], *URIS[80:]],
        {"new": 15, "changed": 1, "asked_for": 5, "already_labeled": 79},
    ),
    ({"since": 2.0}, [], {"before_since": 100}),
]


@pytest.mark.parametrize(("rules", "wanted", "outcomes"), fast_rows(CASES, 2))
def test_only_what_is_not_labeled_comes_out(
    output: pathlib.Path, rules: dict[str, Any], wanted: list[str], outcomes: dict[str, int]
) -> None:
    with LocalPipeline() as pipeline:
        chosen = select(pipeline, listed(), output, **rules)
        assert_that(chosen.videos | beam.Map(lambda video: video.video_uri), equal_to(wanted), "videos")
        assert_that(chosen.outcomes, equal_to(list(outcomes.items())), "outcomes")
        assert_that(chosen.num_inputs, equal_to([100]), "inputs")
    assert counters(pipeline).get(metrics.VIDEOS_SKIPPED, 0) == 100 - len(wanted)


def test_metadata_and_attempts_go_with_the_video(output: pathlib.Path) -> None:
    with LocalPipeline() as pipeline:
        videos = select(pipeline, listed()[80:81], output, retry_failed=frozenset({"all"}))
        wanted = dataclasses.replace(listed()[80], attempt=2)
        assert_that(videos.videos, equal_to([wanted]))


@pytest.mark.slow
def test_a_limited_run_continues_where_the_last_one_stopped(tmp_path: pathlib.Path) -> None:
    taken: list[str] = []
    for run_number in range(4):
        with LocalPipeline() as pipeline:
            chosen = select(pipeline, listed(), tmp_path, limit=30)
            chosen | WriteSelection(paths=RunPaths(str(tmp_path), f"r{run_number}"), videos_per_part=1000)
        selection = read_selection(RunPaths(str(tmp_path), f"r{run_number}"))
        assert selection.outcomes.get("beyond_limit", 0) == max(0, 70 - 30 * run_number)
        found = pathlib.Path(tmp_path).glob(f".staging/run=r{run_number}/selected/*.staged")
        uris = [row["video_uri"] for path in found for row in ledger_of.pq.read_table(path).to_pylist()]
        assert len(uris) == min(30, 100 - 30 * run_number)
        taken += uris
        rows = [row | {"size_bytes": 1001 if row["video_uri"] == URIS[3] else 1000} for row in ledger_of.rows(uris)]
        ledger_of.commit_rows(tmp_path, f"n{run_number}", rows)
    assert sorted(taken) == URIS


def test_signed_urls_are_known_by_their_bare_form(tmp_path: pathlib.Path) -> None:
    ledger_of.commit_rows(tmp_path, "r1", ledger_of.rows(["https://host/a.mp4?sig=1"]))
    with LocalPipeline() as pipeline:
        videos = [make.video("https://host/a.mp4?sig=2"), make.video("https://host/b.mp4?sig=2")]
        chosen = select(pipeline, videos, tmp_path)
        assert_that(chosen.videos, equal_to(videos[1:]))


def test_addresses_of_one_video_share_its_rows_and_one_keeps_its_query(tmp_path: pathlib.Path) -> None:
    ledger_of.commit_rows(tmp_path, "r1", ledger_of.rows(["https://host/a.mp4"], "failed"))
    with LocalPipeline() as pipeline:
        videos = [make.video(f"https://host/a.mp4?sig={i}", camera=str(i)) for i in range(2)]
        chosen = select(pipeline, videos, tmp_path, retry_failed=frozenset({"all"}))
        assert_that(chosen.videos, equal_to([dataclasses.replace(videos[0], attempt=2)]))
        assert_that(chosen.num_inputs, equal_to([1]), "inputs")


@pytest.fixture
def linked(tmp_path: pathlib.Path) -> pathlib.Path:
    """A file in `real`, and links to it in `links`; and the ledger, in which one of these is labeled."""
    (tmp_path / "real").mkdir()
    (tmp_path / "links").mkdir()
    for number in range(20):
        (tmp_path / f"real/{number:02d}.mp4").write_bytes(b"x")
        (tmp_path / f"links/a{number:02d}.mp4").symlink_to(tmp_path / f"real/{number:02d}.mp4")
        (tmp_path / f"links/b{number:02d}.mp4").symlink_to(f"a{number:02d}.mp4")
    rows = ledger_of.rows([str(tmp_path / f"links/a{number:02d}.mp4") for number in range(20)])
    version = f"mtime:{(tmp_path / 'real/00.mp4').stat().st_mtime:.6f}"
    ledger_of.commit_rows(tmp_path / "out", "r1", [row | {"size_bytes": 1, "content_version": version} for row in rows])
    for path in (tmp_path / "real").iterdir():
        os.utime(path, ns=((tmp_path / "real/00.mp4").stat().st_mtime_ns,) * 2)
    return tmp_path


@pytest.mark.parametrize(
    ("inputs", "outcomes"),
    [
        (["links"], {"already_labeled": 20}),
        (["links/b*"], {"new": 20}),
        (["links", "real"], {"new": 20}),
        (["links/a*", "links/b1*.mp4"], {"already_labeled": 20}),
    ],
)
def test_a_file_that_only_links_lead_to_finds_the_rows_of_its_name(
    linked: pathlib.Path, inputs: list[str], outcomes: dict[str, int]
) -> None:
    with LocalPipeline() as pipeline:
        chosen = (pipeline | ListVideos(inputs=inputs, base_dir=str(linked))).entries | step(linked / "out")
        assert_that(chosen.outcomes, equal_to(list(outcomes.items())), "outcomes")
        assert_that(chosen.num_inputs, equal_to([20]), "inputs")
    assert counters(pipeline)[metrics.VIDEOS_LISTED] == 20


def test_nothing_listed_is_nothing_selected(output: pathlib.Path) -> None:
    with LocalPipeline() as pipeline:
        chosen = select(pipeline, [], output, limit=1)
        assert_that(chosen.videos, equal_to([]), "videos")
        assert_that(chosen.num_inputs, equal_to([0]), "inputs")
        assert_that(chosen.outcomes, equal_to([]), "outcomes")


@pytest.mark.parametrize(("videos_per_part", "num_parts"), fast_rows([(40, 3), (1000, 1)]))
def test_parts_hold_every_video_once(tmp_path: pathlib.Path, videos_per_part: int, num_parts: int) -> None:
    paths = RunPaths(str(tmp_path / "a b [c]"), "r1")
    ledger_of.commit_rows(tmp_path / "a b [c]", "r0", ledger_of.rows(URIS[:10]))
    with LocalPipeline() as pipeline:
        chosen = select(pipeline, listed(), tmp_path / "a b [c]")
        chosen | WriteSelection(paths=paths, videos_per_part=videos_per_part)
    selection = read_selection(paths)
    parts = to_parts(paths, selection)
    assert len(parts) == num_parts and sum(part.num_inputs for part in parts) == 100
    assert parts[0].outcomes == {"new": 90, "changed": 1, "already_labeled": 9}
    assert not any(part.outcomes for part in parts[1:])
    with LocalPipeline() as pipeline:
        read = [pipeline | f"Part{i}" >> ReadSelection(part) for i, part in enumerate(parts)]
        videos = [chosen.videos for chosen in read] | beam.Flatten()
        assert_that(videos, equal_to([listed()[3], *listed()[10:]]))


def test_a_selection_of_nothing_still_accounts_for_its_inputs(output: pathlib.Path) -> None:
    paths = RunPaths(str(output), "r9")
    with LocalPipeline() as pipeline:
        videos = [video for video in listed()[:85] if video.size_bytes == 1000]
        select(pipeline, videos, output) | WriteSelection(paths=paths, videos_per_part=1000)
    selection = read_selection(paths)
    assert to_parts(paths, selection) == [Part(None, 84, {"already_labeled": 79, "failed_before": 5})]
