"""LabelVideos on unbounded input: the rows of each element, in its windows and with its timestamp, each once."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import apache_beam as beam
import pytest
from apache_beam.testing.test_stream import TestStream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms import trigger
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions, SlidingWindows, TimestampedValue
from apache_beam.utils.windowed_value import PaneInfoTiming
from streams import Seen, SeeRows, streaming_pipeline

import reelbeam

NUM_CLIPS = {"growing": 2, "shrinking": 2, "moving up": 2}
BROKEN = ("broken.mp4", "not_a_video")
SLOW = pytest.mark.slow

Run = Callable[[TestStream, beam.WindowInto], list[Seen]]


class Upload(NamedTuple):
    """A notification with a schema."""

    video_uri: str
    start_seconds: float | None = None
    end_seconds: float | None = None


@pytest.fixture(params=["this thread", pytest.param("prism", marks=SLOW)])
def pipeline(request: pytest.FixtureRequest) -> beam.Pipeline:
    """A pipeline for unbounded input, on two runners."""
    return streaming_pipeline(request.getfixturevalue("prism_program") if request.param == "prism" else None)


@pytest.fixture
def uri(samples_dir: pathlib.Path) -> Callable[[str], str]:
    """Returns the path of a sample."""
    return lambda name: str(samples_dir / f"{name.replace(' ', '_')}.mp4")


def labeled(pipeline: beam.Pipeline, stream: TestStream, windows: beam.WindowInto) -> reelbeam.LabeledVideos:
    """Labels the elements of a stream in windows."""
    return pipeline | stream | windows | reelbeam.LabelVideos("demo")


def ok(name: str, window: tuple[float, ...], timestamp: float) -> Iterator[Seen]:
    """Yields the rows of a labeled sample."""
    file = f"{name.replace(' ', '_')}.mp4"
    yield Seen("videos", file, name, window, timestamp)
    for index in range(NUM_CLIPS[name]):
        yield Seen("clips", file, name, window, timestamp, index)


def failed(name: str, code: str, window: tuple[float, ...], timestamp: float) -> Iterator[Seen]:
    """Yields the rows of a failed video."""
    for table in ("videos", "errors"):
        yield Seen(table, name, code, window, timestamp)


def at(seconds: float, element: object) -> TimestampedValue:
    return TimestampedValue(element, seconds)


def test_fixed_windows(pipeline: beam.Pipeline, uri: Callable[[str], str]) -> None:
    with pipeline:
        stream = (
            TestStream()
            .add_elements([at(10, uri("growing"))])
            .advance_watermark_to(60)
            .add_elements([at(70, uri("broken")), at(75, uri("shrinking"))])
            .advance_watermark_to_infinity()
        )
        seen = labeled(pipeline, stream, beam.WindowInto(FixedWindows(60))) | SeeRows()
        expected = [
            *ok("growing", (0, 60), 10),
            *failed(*BROKEN, (60, 120), 70),
            *ok("shrinking", (60, 120), 75),
        ]
        assert_that(seen, equal_to(expected))


def test_sliding_windows_have_the_rows_of_a_video_in_each(pipeline: beam.Pipeline, uri: Callable[[str], str]) -> None:
    with pipeline:
        stream = TestStream().add_elements([at(40, uri("growing"))]).advance_watermark_to_infinity()
        seen = labeled(pipeline, stream, beam.WindowInto(SlidingWindows(60, 30))) | SeeRows()
        assert_that(seen, equal_to([*ok("growing", (0, 60), 40), *ok("growing", (30, 90), 40)]))


def test_sessions_are_merged_after_the_videos_are_labeled(pipeline: beam.Pipeline, uri: Callable[[str], str]) -> None:
    with pipeline:
        stream = (
            TestStream()
            .add_elements([at(0, uri("growing")), at(20, uri("shrinking"))])
            .advance_watermark_to(300)
            .add_elements([at(310, uri("growing"))])
            .advance_watermark_to_infinity()
        )
        rows = labeled(pipeline, stream, beam.WindowInto(Sessions(30))).videos
        keyed = rows | beam.Map(lambda row: ("camera", row.top_label)).with_output_types(tuple[str, str])
        sessions = keyed | beam.GroupByKey() | beam.ParDo(_Session())
        assert_that(sessions, equal_to([(0, 50, ["growing", "shrinking"]), (310, 340, ["growing"])]))


class _Session(beam.DoFn):
    def process(
        self, group: tuple[str, list[str]], window: object = beam.DoFn.WindowParam
    ) -> Iterator[tuple[float, float, list[str]]]:
        yield float(window.start), float(window.end), sorted(group[1])  # type: ignore[attr-defined]


def test_rows_in_the_global_window_do_not_wait_for_its_end(pipeline: beam.Pipeline, uri: Callable[[str], str]) -> None:
    """The pane of each row is early: the watermark has not passed the end of the window."""
    every = beam.WindowInto(
        GlobalWindows(),
        trigger=trigger.Repeatedly(trigger.AfterCount(1)),
        accumulation_mode=trigger.AccumulationMode.DISCARDING,
    )
    with pipeline:
        stream = (
            TestStream()
            .add_elements([at(5, uri("growing"))])
            .add_elements([at(6, uri("broken"))])
            .advance_watermark_to_infinity()
        )
        rows = labeled(pipeline, stream, every)
        assert_that(rows | SeeRows(), equal_to([*ok("growing", (), 5), *failed(*BROKEN, (), 6)]), "rows")
        keyed = rows.videos | beam.Map(lambda row: (row.status, 1)).with_output_types(tuple[str, int])
        panes = keyed | beam.GroupByKey() | beam.ParDo(_Pane())
        early = PaneInfoTiming.to_string(PaneInfoTiming.EARLY)
        assert_that(panes, equal_to([("ok", 1, early), ("failed", 1, early)]), "panes")


class _Pane(beam.DoFn):
    def process(
        self, group: tuple[str, list[int]], pane: object = beam.DoFn.PaneInfoParam
    ) -> Iterator[tuple[str, int, str]]:
        timing = PaneInfoTiming.to_string(pane.timing)  # type: ignore[attr-defined]
        yield group[0], len(list(group[1])), timing


def test_a_late_element_comes_out_in_its_own_window(pipeline: beam.Pipeline, uri: Callable[[str], str]) -> None:
    """Only a step that groups drops elements that are too late."""
    windows = beam.WindowInto(
        FixedWindows(60),
        trigger=trigger.AfterWatermark(late=trigger.AfterCount(1)),
        accumulation_mode=trigger.AccumulationMode.DISCARDING,
        allowed_lateness=600,
    )
    with pipeline:
        stream = (
            TestStream()
            .add_elements([at(100, uri("shrinking"))])
            .advance_watermark_to(200)
            .add_elements([at(10, uri("growing"))])
            .advance_watermark_to(10_000)
            .add_elements([at(20, uri("moving up"))])
            .advance_watermark_to_infinity()
        )
        rows = labeled(pipeline, stream, windows)
        expected = [
            *ok("shrinking", (60, 120), 100),
            *ok("growing", (0, 60), 10),
            *ok("moving up", (0, 60), 20),
        ]
        assert_that(rows | SeeRows(), equal_to(expected), "rows")
        keyed = rows.videos | beam.Map(lambda row: (row.top_label, 1)).with_output_types(tuple[str, int])
        grouped = keyed | beam.GroupByKey() | beam.Map(lambda group: group[0])
        assert_that(grouped, equal_to(["shrinking", "growing"]), "grouped")


def test_each_notification_has_its_rows_even_a_duplicate(pipeline: beam.Pipeline, uri: Callable[[str], str]) -> None:
    with pipeline:
        stream = (
            TestStream()
            .add_elements([at(1, uri("growing")), at(2, uri("growing"))])
            .advance_watermark_to(60)
            .add_elements([at(61, uri("growing"))])
            .advance_watermark_to_infinity()
        )
        seen = labeled(pipeline, stream, beam.WindowInto(FixedWindows(60))) | SeeRows()
        expected = [*ok("growing", (0, 60), 1), *ok("growing", (0, 60), 2), *ok("growing", (60, 120), 61)]
        assert_that(seen, equal_to(expected))


def test_elements_of_every_kind_keep_their_window(pipeline: beam.Pipeline, uri: Callable[[str], str]) -> None:
    with pipeline:
        stream = (
            TestStream()
            .add_elements([at(1, {"video_uri": uri("growing")}), at(2, beam.Row(video_uri=uri("shrinking")))])
            .add_elements([at(3, Upload(uri("moving up"), 0, 2)), at(4, uri("gone"))])
            .add_elements([at(5, None), at(6, ""), at(7, {"uri": "x"})])
            .advance_watermark_to_infinity()
        )
        seen = labeled(pipeline, stream, beam.WindowInto(FixedWindows(60))) | SeeRows()
        window = (0, 60)
        expected = [
            *ok("growing", window, 1),
            *ok("shrinking", window, 2),
            Seen("videos", "moving_up.mp4", "moving up", window, 3),
            Seen("clips", "moving_up.mp4", "moving up", window, 3, 0),
            *failed("gone.mp4", "not_found", window, 4),
            *failed("None", "invalid_input", window, 5),
            *failed("''", "invalid_input", window, 6),
            *failed("{'uri': 'x'}", "invalid_input", window, 7),
        ]
        assert_that(seen, equal_to(expected))
