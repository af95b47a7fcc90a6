"""The threads of `label`: what they keep."""

from __future__ import annotations

import contextlib
import gc
import pathlib
from concurrent.futures import Future

from reelbeam.pipeline.api.local_run import LocalRun
from reelbeam.pipeline.api.preparation import prepare
from reelbeam.transforms import storage
from reelbeam.transforms.labeling.video_labeler import VideoLabeler
from reelbeam.transforms.media.sandbox.sandboxed import Sandbox


def test_a_result_is_not_kept_after_it_was_yielded(samples_dir: pathlib.Path) -> None:
    videos = [storage.video_of(storage.stat(str(path))) for path in sorted(samples_dir.iterdir())]
    with contextlib.closing(Sandbox()) as sandbox:
        labeler = VideoLabeler(prepare("demo", {}, runs_here=True).config, sandbox=sandbox)
        run = LocalRun(labeler, 2, sandbox.close, lambda _: None)
        num_kept = [_num_finished_calls() for _ in run.label(videos)]
    assert len(num_kept) == len(videos) > 9
    assert num_kept[-1] < 5


def _num_finished_calls() -> int:
    return sum(isinstance(each, Future) and each.done() for each in gc.get_objects())
