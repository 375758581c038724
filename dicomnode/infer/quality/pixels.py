"""Measures of a series' pixels, each one number by name, for limits that a bundle may state."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.quality.artefact import ghosts, noise_hu, streaks_hu
from dicomnode.infer.quality.hounsfield import air_fraction, dense_object_ml, soft_tissue_fraction, truncated_rim

#: Every how many voxels along each axis are looked at for grey levels: a million of 111 × 512 × 512 are left, in which
#: a level that one voxel in 300 000 has is met with a probability of 97 %.
STRIDE = 3

#: The share of voxels, at each end, that outliers may take without counting as grey levels.
OUTLIERS = 0.01


def constant_slices(source: SourceSeries) -> float:
    """The share of slices that show one value throughout, as a failed transfer or an empty reconstruction does."""
    array = source.volume.array
    return float(np.mean(array.max(axis=(1, 2)) == array.min(axis=(1, 2))))


def clipped_voxels(source: SourceSeries) -> float:
    """The share of voxels at the highest value that occurs, among those above the lowest.

    The maximum of a faithful image is met once or a few times; clipped to a window, or beyond the range of the
    scanner (3071 HU with 12 bits), many voxels share it. The lowest value is background in every modality and tells
    nothing.
    """
    array = source.volume.array
    low, high = array.min(), array.max()
    above = array.size - int(np.count_nonzero(array == low))
    # Without a single value above the lowest the image is constant, not clipped.
    return int(np.count_nonzero(array == high)) / above if above else 0.0


def grey_levels(source: SourceSeries) -> float:
    """How many different values occur between the first and the 99th percentile of what is above the lowest.

    The effective dynamic range: MR and CT have hundreds to thousands; an export through an 8-bit window has 256 at
    most, and an MR whose receiver gain was too low a few dozen.
    """
    sample = source.volume.array[::STRIDE, ::STRIDE, ::STRIDE]
    above = sample[sample > sample.min()]
    if not above.size:
        return 1.0
    low, high = np.quantile(above, [OUTLIERS, 1 - OUTLIERS])
    return float(np.unique(above[(above >= low) & (above <= high)]).size)


#: Every measure by name; one that does not apply to the series, or finds nothing to measure, answers nan.
MEASURES: Mapping[str, Callable[[SourceSeries], float]] = {
    "constant_slices": constant_slices,
    "clipped_voxels": clipped_voxels,
    "grey_levels": grey_levels,
    "air_fraction": air_fraction,
    "soft_tissue_fraction": soft_tissue_fraction,
    "dense_object_ml": dense_object_ml,
    "truncated_rim": truncated_rim,
    "noise_hu": noise_hu,
    "streaks_hu": streaks_hu,
    "ghosts": ghosts,
}
