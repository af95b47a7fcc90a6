"""Runs and clip rows of an output, made by the code that labels, for tests that make filmstrips of them."""

from __future__ import annotations

import dataclasses
import json
import pathlib

from output_factory import run_info

from reelbeam.pipeline.flags import options
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.transforms import storage
from reelbeam.transforms.media.decoding.probe import probe
from reelbeam.transforms.media.sampling.video_plan import plan_parts
from reelbeam.transforms.output.report_content.shown_clips import ClipKey, ScoredLabel, ShownClip
from reelbeam.transforms.output.run_commit import CommitConfig, RunResults, commit
from reelbeam.transforms.output.run_document import RunFacts
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.records import ClipSpan
from reelbeam.transforms.records.time_range import WHOLE, TimeRange


@dataclasses.dataclass(frozen=True)
class LabeledRun:
    """A run whose document is in an output.

    Attributes:
      output: the folder.
      run_id: its name.
      config: its configuration.
    """

    output: pathlib.Path
    run_id: str
    config: LabelingConfig

    def spans(self, path: pathlib.Path, time_range: TimeRange = WHOLE) -> list[ClipSpan]:
        """Returns the clips of a video as the run planned them."""
        return [span for part in plan_parts(probe(path), self.config.sampling, time_range) for span in part]

    def clips(self, path: pathlib.Path, time_range: TimeRange = WHOLE, uri: str | None = None) -> list[ShownClip]:
        """Returns the clips of a local video as the report shows them.

        Args:
          path: a copy of the video.
          time_range: the labeled range.
          uri: where the run found the video; None: at the path.
        """
        found = storage.stat(uri or str(path))
        return [
            ShownClip(
                key=ClipKey(found.uri, time_range.start_ms, time_range.end_ms, span.clip_index, self.run_id),
                start_ms=span.start_ms,
                end_ms=span.end_ms,
                labels=(ScoredLabel("left", 0.75),),
                entropy=0.5,
                log_sum_exp=1.5,
                num_frames=span.num_frames,
                num_real_frames=span.num_real_frames,
                content_version=found.version,
                size_bytes=found.size_bytes,
            )
            for span in self.spans(path, time_range)
        ]

    def edit_document(self, **configuration: object) -> None:
        """Replaces settings in the run document; None as in JSON."""
        path = self.output / "runs" / f"{self.run_id}.json"
        document = json.loads(path.read_text("utf-8"))
        document["configuration"] |= configuration
        path.write_text(json.dumps(document), "utf-8")


def labeled_run(output: pathlib.Path, *flags: str, number: int = 1, model: str = "demo") -> LabeledRun:
    """Commits a run of these flags without rows.

    Args:
      output: the folder of the output.
      flags: of `label`.
      number: the number of the run, from 1.
      model: the name of the model.
    """
    args, _ = options.parse_flags(["a.mp4", "--output", str(output), f"--model={model}", *flags])
    config = options.to_config(args)
    run = dataclasses.replace(run_info(number), sampling_fingerprint=config.sampling_fingerprint)
    facts = dataclasses.replace(RunFacts.of(run), configuration=config.to_json())
    commit(
        CommitConfig(paths=RunPaths(str(output), run.run_id), facts=facts, max_failure_ratio=1.0),
        RunResults(files=[], num_inputs=0, outcomes={}),
    )
    return LabeledRun(output, run.run_id, config)
