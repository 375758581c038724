"""Overlap of two masks: coefficients of Dice and Jaccard."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def dice(reference: Mask, answer: Mask) -> float | None:
    """Coefficient of Dice, 2 |A ∩ B| / (|A| + |B|); None where both are empty and nothing can overlap."""
    total = int(np.count_nonzero(reference)) + int(np.count_nonzero(answer))
    return 2 * int(np.count_nonzero(reference & answer)) / total if total else None


def jaccard(reference: Mask, answer: Mask) -> float | None:
    """Coefficient of Jaccard, |A ∩ B| / |A ∪ B|; None where both are empty."""
    union = int(np.count_nonzero(reference | answer))
    return int(np.count_nonzero(reference & answer)) / union if union else None
