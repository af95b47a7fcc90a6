"""The types of arrays of numbers that are computed from rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
"""Counts, places of rows, and times in milliseconds."""
Floats = npt.NDArray[np.float64]
