"""Measure how sampling, precision and the kind of the model change the accuracy on real clips of known classes.

    python -m benchmarks.accuracy [--clips FOLDER] [--models FOLDER] [--tensorflow] [--only TEXT] --json accuracy.json

The program labels the clips once for each variant, and the package of `reelbeam evaluate` compares it with the default
of the same model and the same videos. Some variants are labeled on wide videos that are made of the clips. `--only`
measures the variants with a text in their model and name, and replaces only their results in the JSON.

`--clips` names a folder of videos with `truth.csv`; `--models` one with `movinet_a0_base_k600.tar.gz` and
`movinet_a0_stream_k600.tar.gz`. The CPU-seconds are those of the run's JSON: they leave out the start of the program
and the conversion of the model, and they depend on the load of the machine.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.accuracy_bench import DEFAULT, Bench, Measured, Variant, named
from benchmarks.wide_clips import BESIDE

SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"


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
    Variant("base", "three crops (`three`)", ("--crops=three",)),
    Variant("base", "squeezed (`whole`)", ("--crops=whole",)),
    *(
        Variant("base", named(name, beside), flags, beside)
        for beside in BESIDE
        for name, flags in (
            (DEFAULT, ()),
            ("three crops (`three`)", ("--crops=three",)),
            ("squeezed (`whole`)", ("--crops=whole",)),
        )
    ),
    Variant("stream", DEFAULT),
    Variant("stream", "three crops (`three`)", ("--crops=three",)),
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


def measure_all(bench: Bench, variants: Sequence[Variant]) -> Iterator[Measured]:
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
    parser.add_argument("--only", metavar="TEXT", action="append", help="only these variants, such as 'base three'")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(args.clips, args.models, pathlib.Path(scratch))
        variants = VARIANTS + (TENSORFLOW if args.tensorflow else ())
        only = args.only or [""]
        variants = tuple(each for each in variants if any(text in _title(each) for text in only))
        measured = list(measure_all(bench, variants))
        novelty = [] if args.only else [bench.novelty("base"), bench.novelty("stream")]
    for each in novelty:
        print(each.model, *(f"{found.signal} {found.auroc}" for found in each.separations), sep=", ")
    if args.json:
        document: dict[str, Any] = {"variants": list(map(asdict, measured)), "novelty": list(map(asdict, novelty))}
        if args.only and args.json.exists():
            before = json.loads(args.json.read_text("utf-8"))
            document = {"variants": replaced(before["variants"], document["variants"]), "novelty": before["novelty"]}
        args.json.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def _title(variant: Variant) -> str:
    return f"{variant.kind} {variant.name}"


def replaced(before: Sequence[dict[str, Any]], measured: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the results of variants with some of them measured again, in the order of the variants."""
    found = {f"{entry['model']} {entry['variant']}": entry for entry in (*before, *measured)}
    order = [_title(variant) for variant in VARIANTS + TENSORFLOW]
    return [found[title] for title in (*order, *(title for title in found if title not in order)) if title in found]


if __name__ == "__main__":
    main()
