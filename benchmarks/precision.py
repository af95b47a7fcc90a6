"""Compare the results and the cost of bfloat16 and float32 on the same real clips.

    python -m benchmarks.precision a0-base a2-base=FOLDER --videos VIDEO... --json precision.json

The comparison is meaningful only on CPUs with bfloat16. Other CPUs compute in float32 in any case, so all logits are
equal.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.clips import named_models, real_clips
from reelbeam.transforms.models.engine import Precision
from reelbeam.transforms.models.loading import load_engine
from reelbeam.transforms.models.registry.catalog import ModelSpec


@dataclass(frozen=True)
class Agreement:
    """The differences between bfloat16 and float32."""

    model: str
    clips: int
    same_top1: float
    same_top5: float
    largest_logit_difference: float
    logit_deviation: float
    float32_cpu_seconds: float
    bfloat16_cpu_seconds: float


def main() -> None:
    """Measures, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME[=FOLDER]")
    parser.add_argument("--videos", nargs="+", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    print("| model | clips | same top-1 | same top-5 | largest logit difference | logits' deviation | CPU time |")
    print("|---|---|---|---|---|---|---|")
    results = []
    for spec in named_models(args.models):
        found = measure(spec, real_clips(args.videos, spec.preset, args.clips))
        results.append(asdict(found))
        saved = found.bfloat16_cpu_seconds / found.float32_cpu_seconds
        print(
            f"| {found.model} | {found.clips} | {found.same_top1:.0%} | {found.same_top5:.0%} "
            f"| {found.largest_logit_difference:.2g} | {found.logit_deviation:.2g} | {saved:.2f} x |",
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def measure(spec: ModelSpec, clips: npt.NDArray[np.uint8]) -> Agreement:
    """Runs one model over the clips with both precisions."""
    reference, reference_seconds = classify(spec, "float32", clips)
    logits, seconds = classify(spec, "bfloat16", clips)
    best, best_reference = np.argsort(-logits)[:, :5], np.argsort(-reference)[:, :5]
    return Agreement(
        model=spec.name,
        clips=len(clips),
        same_top1=float(np.mean(best[:, 0] == best_reference[:, 0])),
        same_top5=float(np.mean([set(a) == set(b) for a, b in zip(best, best_reference, strict=True)])),
        largest_logit_difference=float(np.abs(logits - reference).max()),
        logit_deviation=float(reference.std()),
        float32_cpu_seconds=reference_seconds,
        bfloat16_cpu_seconds=seconds,
    )


def classify(
    spec: ModelSpec, precision: Precision, clips: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.float32], float]:
    """Returns logits [N, C] and the mean CPU-seconds of the fastest third of the clips."""
    engine = load_engine(spec, "openvino", 1, precision)
    engine.classify(clips[:1])
    logits, seconds = [], []
    for clip in clips:
        start = time.process_time()
        logits.append(engine.classify(clip[None])[0])
        seconds.append(time.process_time() - start)
    engine.close()
    return np.stack(logits), float(np.mean(sorted(seconds)[: max(1, len(seconds) // 3)]))


if __name__ == "__main__":
    main()
