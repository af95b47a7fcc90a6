"""Measure how sampling, precision and the kind of the model change the accuracy on real clips of known classes.

    python -m benchmarks.accuracy [--clips FOLDER] [--models FOLDER] [--tensorflow] --json accuracy.json

The program labels the clips once for each variant, and the package of `reelbeam evaluate` compares it with the default
of the same model, video by video. `--clips` names a folder of videos with `truth.csv`; `--models` one with
`movinet_a0_base_k600.tar.gz` and `movinet_a0_stream_k600.tar.gz`. The CPU-seconds are those of the run's JSON: they
leave out the start of the program and the conversion of the model, and they depend on the load of the machine.
"""

from __future__ import annotations

import argparse
import csv
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

from reelbeam.transforms.evaluation.comparison import Difference
from reelbeam.transforms.evaluation.evaluated_output import EvaluationRequest, evaluate_output
from reelbeam.transforms.evaluation.intervals import Proportion
from reelbeam.transforms.evaluation.novelty import Separation
from reelbeam.transforms.output.report_content.shown_rows import ShownRows
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.output.tables import Output, read_run

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"
DEFAULT = "default"

Kind = Literal["base", "stream"]


class Variant(NamedTuple):
    """A way to label the clips.

    Attributes:
      kind: the model.
      name: of the variant.
      flags: those that differ from the default.
    """

    kind: Kind
    name: str
    flags: tuple[str, ...] = ()


FLAGS = ("--labels=kinetics-600", "--num_frames=50", "--target_fps=5", "--resize=192", "--size=172")

VARIANTS = (
    Variant("base", DEFAULT),
    Variant("base", "bfloat16", ("--precision=bfloat16",)),
    Variant("base", "last frame held (`repeat_last`)", ("--tail_policy=repeat_last",)),
    Variant("base", "rest left out (`drop`)", ("--tail_policy=drop",)),
    Variant("base", "clips of 5 s", ("--num_frames=25",)),
    Variant("base", "a clip every 5 s", ("--clip_stride_seconds=5",)),
    Variant("base", "one clip per video", ("--clips_per_video=1",)),
    Variant("base", "10 fps, clips of 10 s", ("--target_fps=10", "--num_frames=100")),
    Variant("base", "10 fps, clips of 5 s", ("--target_fps=10",)),
    Variant("base", "no margin around the crop", ("--resize=172",)),
    Variant("stream", DEFAULT),
    Variant("stream", "bfloat16", ("--precision=bfloat16",)),
    Variant("stream", "state carried (`--carry_state`)", ("--carry_state",)),
    Variant("stream", "rest as a short clip (`keep`)", ("--tail_policy=keep",)),
    Variant("stream", "rest left out (`drop`)", ("--tail_policy=drop",)),
    Variant("stream", "clips of 5 s", ("--num_frames=25",)),
    Variant("stream", "clips of 5 s, rest as a short clip (`keep`)", ("--num_frames=25", "--tail_policy=keep")),
    Variant("stream", "clips of 5 s, state carried", ("--num_frames=25", "--carry_state")),
    Variant("stream", "one clip per video", ("--clips_per_video=1",)),
    Variant("stream", "10 fps, clips of 10 s", ("--target_fps=10", "--num_frames=100")),
    Variant("stream", "no margin around the crop", ("--resize=172",)),
)

TENSORFLOW = tuple(Variant(kind, "TensorFlow", ("--engine=tensorflow",)) for kind in ("base", "stream"))


@dataclass(frozen=True)
class Compared:
    """A variant beside another one, on the same videos.

    Attributes:
      against: the model of the other variant, which is its default.
      top_1, top_5: in these, a is the other variant. Videos without an answer count as wrong.
      same_label: the number of videos with the same best label in both, of `videos`.
    """

    against: Kind
    top_1: Difference
    top_5: Difference
    same_label: int
    videos: int


@dataclass(frozen=True)
class Measured:
    """A variant.

    Attributes:
      unanswered: the number of videos without an answer.
      clips: the number of labeled clips.
      top_1, top_5: over the videos with a class. Those without an answer count as wrong.
      compared: None for the default of Base.
    """

    model: Kind
    variant: str
    flags: tuple[str, ...]
    unanswered: int
    clips: int
    top_1: Proportion
    top_5: Proportion
    cost: RunCost
    compared: Compared | None


@dataclass(frozen=True)
class Novelty:
    """What separates the clips of the classes from clips of none of them, for the default of a model."""

    model: Kind
    separations: tuple[Separation, ...]


class Bench:
    """Labels the clips and evaluates the outputs.

    Args:
      clips: a folder of videos with `truth.csv`.
      models: a folder with the archives of the models.
      scratch: an empty folder.
    """

    def __init__(self, clips: pathlib.Path, models: pathlib.Path, scratch: pathlib.Path) -> None:
        self._clips = clips
        self._scratch = scratch
        self._truth = str(clips / "truth.csv")
        for kind in ("base", "stream"):
            with tarfile.open(models / f"movinet_a0_{kind}_k600.tar.gz") as archive:
                archive.extractall(scratch / kind, filter="data")

    def measure(self, variant: Variant) -> Measured:
        """Labels the clips with a variant and evaluates it. The defaults have to be measured first."""
        output = self._output(variant.kind, variant.name)
        self._label(variant, output)
        found = evaluate_output(_rows(output), EvaluationRequest(self._truth)).videos
        (run,) = Output.read(str(output)).runs.values()
        top_1, top_5 = (each.with_failed for each in found.accuracy.top)
        return Measured(
            model=variant.kind,
            variant=variant.name,
            flags=variant.flags,
            unanswered=found.counts.failed + found.counts.nothing_recognized,
            clips=run.labeled.counts.clips,
            top_1=top_1,
            top_5=top_5,
            cost=run.labeled.cost or RunCost(),
            compared=self._compare(variant, output),
        )

    def novelty(self, kind: Kind) -> Novelty:
        """Returns what separates the clips of none of the classes, for the default of a model."""
        truth = self._scratch / "truth_of_clips.csv"
        _write_truth_of_clips(pathlib.Path(self._truth), truth)
        found = evaluate_output(_rows(self._output(kind, DEFAULT)), EvaluationRequest(str(truth))).clips
        return Novelty(kind, found.novelty if found else ())

    def _output(self, kind: Kind, name: str) -> pathlib.Path:
        return self._scratch / "outputs" / f"{kind} {name}"

    def _label(self, variant: Variant, output: pathlib.Path) -> None:
        command = [sys.executable, "-m", "reelbeam", "label", str(self._clips), f"--output={output}"]
        command += [f"--model={self._scratch / variant.kind}", "--max_failure_ratio=1", *FLAGS, *variant.flags]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed: {done.stdout}{done.stderr}")

    def _compare(self, variant: Variant, output: pathlib.Path) -> Compared | None:
        if variant == VARIANTS[0]:
            return None
        against: Kind = "base" if variant.name == DEFAULT else variant.kind
        other = self._output(against, DEFAULT)
        found = evaluate_output(_rows(other), EvaluationRequest(self._truth), _rows(output)).videos.comparison
        assert found is not None, "an evaluation against other rows has a comparison"
        top_1, top_5 = found.top
        labels, other_labels = _best_labels(output), _best_labels(other)
        same = sum(label is not None and label == other_labels[uri] for uri, label in labels.items())
        return Compared(against, top_1, top_5, same, len(labels))


def _rows(output: pathlib.Path) -> ShownRows:
    return ShownRows.current(Output.read(str(output)))


def _best_labels(output: pathlib.Path) -> dict[str, str | None]:
    """Returns the best label of each video by its URI; None without an answer."""
    read = Output.read(str(output))
    rows = read_run(read, list(read.runs.values()), "videos", ["video_uri", "top_label"])
    return dict(zip(rows["video_uri"].to_pylist(), rows["top_label"].to_pylist(), strict=True))


def _write_truth_of_clips(truth: pathlib.Path, to: pathlib.Path) -> None:
    """Writes a truth file whose rows are about the parts of the videos, so that the clips are evaluated, too."""
    with truth.open(newline="", encoding="utf-8") as source, to.open("w", newline="", encoding="utf-8") as sink:
        reader = csv.DictReader(source)
        writer = csv.DictWriter(sink, [*(reader.fieldnames or ()), "start_seconds"])
        writer.writeheader()
        writer.writerows(row | {"start_seconds": "0"} for row in reader)


def measure_all(bench: Bench, variants: tuple[Variant, ...]) -> Iterator[Measured]:
    """Yields the variants, and prints each."""
    for variant in variants:
        found = bench.measure(variant)
        p_value = f"p = {found.compared.top_1.p_value}" if found.compared else ""
        print(
            f"{found.model} {found.variant}: top-1 {found.top_1.value}, top-5 {found.top_5.value} {p_value}", flush=True
        )
        yield found


def main() -> None:
    """Measures, prints the results and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=pathlib.Path, default=SHARED / "clips")
    parser.add_argument("--models", type=pathlib.Path, default=SHARED / "models")
    parser.add_argument("--tensorflow", action="store_true", help="also with the engine tensorflow, which is slow")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(args.clips, args.models, pathlib.Path(scratch))
        measured = list(measure_all(bench, VARIANTS + (TENSORFLOW if args.tensorflow else ())))
        novelty = [bench.novelty("base"), bench.novelty("stream")]
    for each in novelty:
        print(each.model, *(f"{found.signal} {found.auroc}" for found in each.separations), sep=", ")
    if args.json:
        document = {"variants": list(map(asdict, measured)), "novelty": list(map(asdict, novelty))}
        args.json.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
