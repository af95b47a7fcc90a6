"""The types of arrays of numbers that are computed from rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
"""Counts, and times in milliseconds."""
Places = npt.NDArray[np.int64]
"""The numbers of rows or of elements of other arrays."""
Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
