"""Label real clips in several ways and evaluate the labels, for `benchmarks.accuracy`."""

from __future__ import annotations

import csv
import pathlib
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from typing import Literal, NamedTuple

from benchmarks.wide_clips import Beside, make_wide
from reelbeam.transforms.evaluation.comparison import Difference
from reelbeam.transforms.evaluation.evaluated_output import EvaluationRequest, evaluate_output
from reelbeam.transforms.evaluation.intervals import Proportion
from reelbeam.transforms.evaluation.novelty import Separation
from reelbeam.transforms.output.report_content.shown_rows import ShownRows
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.output.tables import Output, read_run

DEFAULT = "default"

Kind = Literal["base", "stream"]


class Variant(NamedTuple):
    """A way to label the clips.

    Attributes:
      kind: the model.
      name: of the variant.
      flags: those that differ from the default.
      beside: what is beside a clip in the wide videos that are labeled; None: the clips themselves are labeled.
    """

    kind: Kind
    name: str
    flags: tuple[str, ...] = ()
    beside: Beside | None = None


def default_of(kind: Kind, beside: Beside | None = None) -> Variant:
    """Returns the default of a model, on the clips or on wide videos."""
    return Variant(kind, named(DEFAULT, beside), (), beside)


def named(name: str, beside: Beside | None) -> str:
    """Returns the name of a variant on the clips or on wide videos."""
    return f"beside {beside}: {name}" if beside else name


FLAGS = ("--labels=kinetics-600", "--num_frames=50", "--target_fps=5", "--resize=192", "--size=172")


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
      compared: None for a default of Base.
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
        for kind in ("base", "stream"):
            with tarfile.open(models / f"movinet_a0_{kind}_k600.tar.gz") as archive:
                archive.extractall(scratch / kind, filter="data")

    def measure(self, variant: Variant) -> Measured:
        """Labels the clips with a variant and evaluates it."""
        output = self._labeled(variant)
        found = evaluate_output(_rows(output), EvaluationRequest(self._truth(variant))).videos
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
            compared=self._compare(variant),
        )

    def novelty(self, kind: Kind) -> Novelty:
        """Returns what separates the clips of none of the classes, for the default of a model."""
        truth = self._scratch / "truth_of_clips.csv"
        _write_truth_of_clips(self._clips / "truth.csv", truth)
        found = evaluate_output(_rows(self._labeled(default_of(kind))), EvaluationRequest(str(truth))).clips
        return Novelty(kind, found.novelty if found else ())

    def _folder(self, variant: Variant) -> pathlib.Path:
        """Returns the folder of the videos to label; makes wide ones if necessary."""
        if variant.beside is None:
            return self._clips
        folder = self._scratch / f"beside {variant.beside}"
        if not folder.exists():
            make_wide(self._clips, folder, variant.beside)
        return folder

    def _truth(self, variant: Variant) -> str:
        return str(self._folder(variant) / "truth.csv")

    def _labeled(self, variant: Variant) -> pathlib.Path:
        """Returns the output of a variant; labels the videos if necessary."""
        output = self._scratch / "outputs" / f"{variant.kind} {variant.name}"
        if output.exists():
            return output
        command = [sys.executable, "-m", "reelbeam", "label", str(self._folder(variant)), f"--output={output}"]
        command += [f"--model={self._scratch / variant.kind}", "--max_failure_ratio=1", *FLAGS, *variant.flags]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed: {done.stdout}{done.stderr}")
        return output

    def _compare(self, variant: Variant) -> Compared | None:
        other = default_of(variant.kind, variant.beside)
        if variant == other:
            other = default_of("base", variant.beside)
        if variant == other:
            return None
        rows, other_rows = (self._labeled(each) for each in (variant, other))
        request = EvaluationRequest(self._truth(variant))
        found = evaluate_output(_rows(other_rows), request, _rows(rows)).videos.comparison
        assert found is not None, "an evaluation against other rows has a comparison"
        top_1, top_5 = found.top
        labels, other_labels = _best_labels(rows), _best_labels(other_rows)
        same = sum(label is not None and label == other_labels[uri] for uri, label in labels.items())
        return Compared(other.kind, top_1, top_5, same, len(labels))


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
