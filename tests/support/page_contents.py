"""Contents of reports with tiny pictures, for tests of the page."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from reelbeam.pipeline.reports.page.accuracy_view import Accuracy, WrongVideo
from reelbeam.transforms.evaluation.evaluation import EvaluationOptions, evaluate
from reelbeam.transforms.evaluation.judged import Judged
from reelbeam.transforms.filmstrips.filmstrip import Filmstrip, Pictures, WebpPicture
from reelbeam.transforms.output.comparison.changes import (
    ChangedVideo,
    Changes,
    Distance,
    Drift,
    FieldChange,
    ShareChange,
    Side,
    Verdict,
)
from reelbeam.transforms.output.report_content.content import Content, Cost, Example, FailureGroup, Labeling, Totals
from reelbeam.transforms.output.report_content.label_runs import LabelRun, Timeline, TimeSpan
from reelbeam.transforms.output.report_content.shares import Corpus, Histogram, Share, Shares
from reelbeam.transforms.output.report_content.shown_clips import ClipKey, LabelSheet, ScoredLabel, Sheets, ShownClip

TILES = 4
NO_SHARES = Shares(())
NO_VALUES = Histogram((0.0, 0.5, 1.0), (0, 0), None)
RUN = "20261129T001437Z-664393"


LABELING = Labeling(
    "movinet_a0_base_k600",
    "openvino",
    "float32",
    {"target_fps": "5", "num_frames": "50"},
    2,
    "20261101T000000Z-1",
    RUN,
    "2026-11-01T00:00:00+00:00",
    "2026-11-29T00:14:46+00:00",
    6,
    Cost(3.0, 7.5, 754.0),
)


def shown_clip(uri: str, index: int = 0, labels: Sequence[str] = ("archery", "yoga"), score: float = 0.75) -> ShownClip:
    """Returns a clip of 2 seconds; each label has a quarter of the score of the one before it."""
    scored = tuple(ScoredLabel(label, score / 4**rank) for rank, label in enumerate(labels))
    key = ClipKey(uri, None, None, index, RUN)
    return ShownClip(key, 2000 * index, 2000 * index + 2000, scored, 1.25, 9.5, 50, 50, "mtime:1", 1000)


def picture(width: int, height: int, color: tuple[int, int, int]) -> WebpPicture:
    """Returns a picture of one color."""
    encoded = io.BytesIO()
    Image.new("RGB", (width, height), color).save(encoded, "WEBP", quality=60)
    return WebpPicture(encoded.getvalue(), width, height)


def filmstrip(clip: ShownClip, number: int = 0) -> Filmstrip:
    """Returns pictures whose color is that of `number`."""
    color = (number * 47 % 256, number * 89 % 256, 120)
    times = tuple(clip.start_ms + 500 * tile for tile in range(TILES))
    return Filmstrip(picture(16 * TILES, 16, color), TILES, times, picture(32, 18, color))


def all_pictures(content: Content, changes: Changes | None = None) -> dict[ClipKey, Pictures]:
    """Returns pictures for each clip."""
    clips = list(content.clips())
    clips += [video.clip for video in (changes.changed if changes else ()) if video.clip is not None]
    return {clip.key: filmstrip(clip, number) for number, clip in enumerate(clips)}


def report_content(uri: str = "/data/{}.mp4", label: str = "archery", message: str = "it ends too early") -> Content:
    """Returns a content in which everything occurs.

    Args:
      uri: of the videos; "{}" is their name.
      label: the most frequent label.
      message: the error of the failed video.
    """

    def clip(name: str, index: int = 0, score: float = 0.75) -> ShownClip:
        return shown_clip(uri.replace("{}", name), index, (label, "yoga", "running"), score)

    first, second, third = clip("a", 0, 0.97), clip("b", 0, 0.6), clip("c", 0, 0.2)
    in_time = tuple(clip("long", index) for index in range(2))
    lane = (LabelRun(0, 2000, label, 0.75, 1, 0), LabelRun(2000, 4000, "yoga", 0.5, 1, 1))
    return Content(
        output="/data/labels",
        totals=Totals(6, 3, 2, 1, 1, 40, 754_000, 12_345_678, {"already_labeled": 3}, {".txt": 2}),
        labelings=(LABELING,),
        failures=(FailureGroup("truncated", 1, "Copy the file again.", (Example(uri.replace("{}", "bad"), message),)),),
        corpus=_corpus(label),
        sheets=Sheets(
            (LabelSheet(label, 3, 30, (first,), (second,), (third,)), LabelSheet("yoga", 1, 1, (clip("y"),), (), ())),
            (third, clip("d")),
            (clip("e"),),
            (clip("f"),),
            (first, clip("g"), clip("h")),
        ),
        timelines=(
            Timeline(in_time[0].key.video_uri, 0, 6000, (lane, lane[:1]), (TimeSpan(4000, 6000),), 1, 0, in_time),
        ),
        num_timelines_left_out=1,
    )


def _corpus(label: str) -> Corpus:
    return Corpus(
        Shares((Share(label, 3, 400_000), Share("yoga", 1, 54_000)), 2, Share("", 2, 300_000)),
        Histogram((0.0, 0.5, 1.0), (10, 30), (0.5, 0.7, 0.9)),
        Histogram((0.0, 2.0, 4.0), (25, 15), (0.4, 1.1, 2.2)),
        Histogram((1.0, 10.0, 100.0), (2, 4), (5.0, 20.0, 60.0)),
        Shares((Share("240p", 6, 754_000),)),
        Shares((Share("h264", 6, 754_000),)),
        NO_SHARES,
        Shares((Share(label, 3, 400_000), Share("yoga", 1, 54_000)), 2, Share("", 2, 300_000)),
    )


def report_changes(verdict: Verdict = "drift", uri: str = "/data/{}.mp4", label: str = "archery") -> Changes:
    """Returns a comparison in which everything occurs."""
    clip = shown_clip(uri.replace("{}", "changed"), 0, (label, "yoga"))
    shares = (
        ShareChange(label, 40, 80, 0.05, 0.12, True, 500, 520),
        ShareChange("yoga", 10, 8, -0.02, 0.01, False, 500, 520),
    )
    drift = Drift(
        verdict, 0.38, 0.27, 0.14, 0.021, 0.004, shares, shares[1:], shares[1:], (Distance("entropy", 0.12, 0.03),)
    )
    before = (ScoredLabel("yoga", 0.6), ScoredLabel(label, 0.3))
    return Changes(
        Side("20261001T000000Z-1", "/data/labels", ("movinet_a0_base_k600",), 500),
        Side(RUN, "/data/labels", ("movinet_a0_base_k600",), 520),
        (FieldChange("target_fps", "5", "10"),),
        drift,
        450,
        70,
        50,
        9,
        (uri.replace("{}", "new"),),
        (uri.replace("{}", "lost"),),
        (ChangedVideo(clip.key.video_uri, before, clip.labels, clip),),
    )


def report_accuracy(content: Content, label: str = "archery") -> Accuracy:
    """Returns an evaluation of 80 videos, and the clips of the sample as wrong ones."""
    random = np.random.default_rng(1)
    items = [
        Judged(f"/data/{n}.mp4", frozenset([label]), (label if random.random() < score else f"not {label}",), (score,))
        for n, score in enumerate(random.random(80).tolist())
    ]
    wrong = tuple(WrongVideo(f"{label}, yoga", clip) for clip in content.sheets.sample)
    evaluation = evaluate(items, EvaluationOptions(1, top_k=1))
    return Accuracy(evaluation, (label, "A sentence."), f"Calibration: {label}.", (f"a warning: {label}",), wrong, 7)
