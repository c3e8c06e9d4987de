"""Figures from what workers counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def bucket_floor(bucket: int) -> int:
    """Least error, in pages, of a bucket of the histogram; see `stress.workers.judge.bucket`."""
    if bucket < 16:
        return bucket
    octave, quarter = divmod(bucket - 16, 4)
    return (16 + 4 * quarter) << octave


def median_of(histogram: NDArray[np.int64]) -> int:
    """Median of what a histogram counted, as the least value of its bucket; 0 when it is empty."""
    total = int(histogram.sum())
    if not total:
        return 0
    return bucket_floor(int(np.searchsorted(histogram.cumsum(), (total + 1) // 2)))
