"""Rules about two series together: how much of the first one another covers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.prepare.grid import ROUNDING_OF_VOXEL, Grid
from dicomnode.infer.quality.hounsfield import spread
from dicomnode.infer.quality.outcome import Outcome

#: Along each axis of the first volume, so many voxels are looked at: a share is known to a few percent of a side.
PLACES = 48

#: What a companion covers where its bundle does not say: a slice of 5 mm may lack at either end of 20 cm, since two
#: scans of one examination seldom begin and end at the same place.
USUAL_COVERAGE = 0.95


def companion_coverage(first: SourceSeries, companion: SourceSeries, limit: float) -> Outcome:
    """This share of the first input's voxels, or more, lies within the other series.

    What lies outside is filled with the lowest value of the companion, as if there were nothing.
    """
    share = covered(first, companion)
    found = f"{100 * share:.3g} % of the first input covered"
    return Outcome(found=found, needed=f"{100 * limit:g} % or more", passed=share > 0 and share >= limit)


def covered(first: SourceSeries, companion: SourceSeries) -> float:
    """The share, from 0 to 1, of the first volume's voxels whose centres lie in voxels of the other."""
    grid, other = Grid.of(first.volume), Grid.of(companion.volume)
    matrix = other.from_(grid)
    along = [spread(count, PLACES).astype(np.float64) for count in grid.shape]
    inside = np.ones([one.size for one in along], dtype=np.bool_)
    for axis, count in enumerate(other.shape):
        parts = [matrix[axis, number] * one for number, one in enumerate(along)]
        index = matrix[axis, 3] + parts[0][:, None, None] + parts[1][:, None] + parts[2]
        inside &= (index >= -0.5 - ROUNDING_OF_VOXEL) & (index <= count - 0.5 + ROUNDING_OF_VOXEL)
    return float(inside.mean())


#: Rules that hold an input after the first against the first: of the first series, the other, and the limit.
PAIRED: Mapping[str, Callable[[SourceSeries, SourceSeries, Any], Outcome]] = {"companion_coverage": companion_coverage}
