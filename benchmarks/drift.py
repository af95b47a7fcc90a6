"""Measure how well `reelbeam diff` estimates drift: simulated corpora with 600 labels whose drift is known.

    python -m benchmarks.drift [--videos 40 100 300 3000] [--repetitions 100]

Each line is the mean over pairs of samples. Label frequencies fall as 1 / rank.
"""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np
import numpy.typing as npt

from reelbeam.transforms.output.comparison.changes import MIN_DRIFT
from reelbeam.transforms.output.comparison.drift import MAX_P_VALUE
from reelbeam.transforms.output.comparison.shares import Shift, shift

NUM_LABELS = 600

Distribution = npt.NDArray[np.float64]


def corpora() -> dict[str, tuple[Distribution, Distribution]]:
    """Returns pairs of distributions by what happened between them."""
    labels = np.zeros(2 * NUM_LABELS)
    labels[:NUM_LABELS] = 1 / np.arange(1, NUM_LABELS + 1)
    labels /= labels.sum()
    one = np.zeros(2 * NUM_LABELS)
    one[400] = 1
    alternating = labels * (1 + 0.3 * np.where(np.arange(2 * NUM_LABELS) % 2, 1, -1))
    found = {
        "nothing": labels,
        "a rare label gained 20 %": 0.8 * labels + 0.2 * one,
        "a rare label gained 40 %": 0.6 * labels + 0.4 * one,
        "all labels changed a little": alternating / alternating.sum(),
        "half of the videos have new labels": (labels + np.roll(labels, NUM_LABELS)) / 2,
        "no label in common": np.roll(labels, NUM_LABELS),
    }
    return {name: (labels, other) for name, other in found.items()}


def simulate(before: Distribution, after: Distribution, videos: int, repetitions: int) -> dict[str, float]:
    """Returns the means of the estimates of pairs of samples, and the shares of them that are significant and drift."""
    random = np.random.default_rng(1)
    found = [shift(_drawn(random, before, videos), _drawn(random, after, videos)) for _ in range(repetitions)]
    is_significant = [each.p_value <= MAX_P_VALUE for each in found]
    is_drift = [each.p_value <= MAX_P_VALUE and each.moved > MIN_DRIFT for each in found]
    return {
        "true": float(np.abs(before - after).sum() / 2),
        "observed": _mean(found, "observed_variation"),
        "chance": _mean(found, "chance_variation"),
        "moved": _mean(found, "moved"),
        "significant": float(np.mean(is_significant)),
        "drift": float(np.mean(is_drift)),
    }


def _drawn(random: np.random.Generator, distribution: Distribution, videos: int) -> dict[str, int]:
    counts = random.multinomial(videos, distribution)
    return {f"{label:04d}": int(counts[label]) for label in np.nonzero(counts)[0]}


def _mean(found: list[Shift], name: str) -> float:
    return float(np.mean([getattr(each, name) for each in found]))


def main() -> None:
    """Prints the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, nargs="*", default=[40, 100, 300, 3000])
    parser.add_argument("--repetitions", type=int, default=100)
    args = parser.parse_args()
    found = []
    for name, sides in corpora().items():
        for videos in args.videos:
            result = simulate(*sides, videos, args.repetitions)
            entry = {"change": name, "videos": videos} | {key: round(value, 3) for key, value in result.items()}
            print(json.dumps(entry), file=sys.stderr, flush=True)
            found.append(entry)
    print(json.dumps({"labels": NUM_LABELS, "repetitions": args.repetitions, "samples": found}, indent=2))


if __name__ == "__main__":
    main()
