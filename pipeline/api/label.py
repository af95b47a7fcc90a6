"""label: videos -> their labels as tables, in threads of this process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import Unpack

from reelbeam.pipeline.api.found_videos import find_videos
from reelbeam.pipeline.api.label_tables import LabelTables, TableRows
from reelbeam.pipeline.api.local_run import LocalRun
from reelbeam.pipeline.api.options import LabelOptions, checked
from reelbeam.pipeline.api.preparation import Labeler, errors_of_options, load_checked, prepare
from reelbeam.pipeline.api.progress_bar import ProgressBar
from reelbeam.pipeline.settings import bounds
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.labeling.elements import Named
from reelbeam.transforms.labeling.summary import summarize
from reelbeam.transforms.labeling.video_labeler import LabeledVideo, VideoLabeler
from reelbeam.transforms.media.sandbox.sandboxed import Sandbox
from reelbeam.transforms.models.cpus import cpu_count
from reelbeam.transforms.models.engine import Engine
from reelbeam.transforms.models.engines.stream import StreamEngine
from reelbeam.transforms.output.run_counts import RunCost


def label(
    videos: str | os.PathLike[str] | Iterable[object],
    *,
    model: str | os.PathLike[str],
    num_workers: int | None = None,
    progress: bool = True,
    **options: Unpack[LabelOptions],
) -> LabelTables:
    """Labels videos in threads of this process, and returns their rows.

        tables = reelbeam.label("~/videos", model="a0-base", top_k=3)
        tables.videos.to_pandas()

    The rows are those that `reelbeam label` writes for the same videos and options. A video that cannot be labeled is
    a row with the status "failed" or "partial", and a row of `errors`. Works in scripts without a main guard, in
    notebooks and in threads. Long videos are divided, so a single video occupies all workers.

    Ctrl-C, and "interrupt" in a notebook, raises KeyboardInterrupt within about a second, and ends the decoder
    processes and the threads; a thread that runs a large model ends after its batch.

    Args:
      videos: a file, a folder or a pattern, local or in an object store, as the command line takes it. Or an iterable
        of files, each a URI, a path, or a dict, named tuple or dataclass with `video_uri` and optionally
        `start_seconds` and `end_seconds`, whose further fields become the row's metadata; patterns and folders are not
        expanded there. A video that is named several times is labeled once. An element that names no video becomes a
        failed row with the code "invalid_input".
      model: a catalog name (`reelbeam models` lists them), a URL, or a folder, local or in an object store.
      num_workers: the number of threads, each with one decoder process; by default one per CPU.
      progress: whether to show progress on stderr, or as a widget in a notebook that has ipywidgets.
      options: see `LabelOptions`. They have the names and the defaults of the flags of `reelbeam label`.

    Raises:
      TypeError: an option does not exist, or `videos` is of another type.
      ConfigError: an option is out of range, options do not fit each other, decoder processes cannot be confined, or a
        path, a folder or a pattern matches nothing. An empty iterable is not an error.
      ModelError: the model or its labels cannot be used.
      RunError: a store does not respond now, or no decoder process can be started.
      StorageError: a folder or a pattern cannot be listed.
    """
    num_threads = _num_threads(num_workers)
    with errors_of_options():
        checked(options)  # before a listing, which may take long
    found = find_videos(videos)
    labeler = prepare(model, options, runs_here=True)
    limits = labeler.config.planner.limits
    with errors_of_options():
        bounds.check_address_space(num_threads, limits.memory_bytes, "--num_workers")
    with contextlib.closing(Sandbox()) as sandbox, ProgressBar(progress) as bar:
        with errors_of_options():
            sandbox.check_confinement(limits)
        engine = load_checked(labeler.config.classifier)
        threads = VideoLabeler(labeler.config, sandbox=sandbox)  # finds the loaded engine
        rows = _rows(labeler, engine)
        run = LocalRun(threads, num_threads, sandbox.close, bar.show)
        with contextlib.closing(run.label(found.videos)) as results:
            for labeled in results:
                rows.add(labeled)
    for named in found.rejected:
        rows.add(_rejected(named))
    return rows.to_tables()


def _num_threads(given: int | None) -> int:
    """Returns the number of threads. Raises ConfigError if it is not a positive integer."""
    if given is None:
        return cpu_count()
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= bounds.MOST_THREADS:
        raise ConfigError(f"num_workers is {given!r}: it must be an integer from 1 to {bounds.MOST_THREADS}")
    return given


def _rows(labeler: Labeler, engine: Engine | StreamEngine) -> TableRows:
    outputs = labeler.config.classifier.outputs
    return TableRows(
        labeler.facts,
        num_logits=engine.num_classes if "logits" in outputs else None,
        embedding_size=engine.embedding_size() if "embedding" in outputs else None,
    )


def _rejected(named: Named) -> LabeledVideo:
    """Returns the result of an element that names no video."""
    failures = [named.failure] if named.failure else []
    return LabeledVideo(summarize(named.video, [], 0, (), failures), [], failures, RunCost())
