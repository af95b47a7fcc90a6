"""Labels of videos that are drawn from distributions, for tests of drift."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Distribution = npt.NDArray[np.float64]

NUM_LABELS = 600
ZIPF: Distribution = 1 / np.arange(1, NUM_LABELS + 1)
ZIPF /= ZIPF.sum()
NAMES = [f"label {number:03d}" for number in range(NUM_LABELS)]


def drawn(random: np.random.Generator, size: int, distribution: Distribution = ZIPF) -> dict[str, int]:
    """Returns the numbers of videos by label, drawn from a distribution over the labels."""
    counts = random.multinomial(size, distribution)
    return {name: int(count) for name, count in zip(NAMES, counts, strict=True) if count}


def moved(share: float) -> Distribution:
    """Returns the distribution after a share of the videos got one label that is rare otherwise."""
    target = np.zeros(NUM_LABELS)
    target[400] = 1
    return (1 - share) * ZIPF + share * target
