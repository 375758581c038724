"""How bright each segment is: mean, standard deviation, minimum, maximum and median of its voxels."""

from __future__ import annotations

import numpy as np
from highdicom import Volume

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Measurement, Segmentation
from dicomnode.measure import codes
from dicomnode.measure.region import regions

#: Only what a voxel of these modalities means is known without further attributes.
_CONCEPTS = {"CT": codes.ATTENUATION, "MR": codes.MR_SIGNAL_INTENSITY}


def measure(volume: Volume, segmentation: Segmentation, modality: str = "CT") -> tuple[Measurement, ...]:
    """Statistics of the rescaled values inside each present segment, coded as quantity and derivation (CID 7464).

    Parameters
    ----------
    volume
        Rescaled intensities on the grid of `segmentation`; HU for CT.
    modality
        CT gives Attenuation Coefficient in Hounsfield units, MR gives MR signal intensity without unit. For any
        other modality nothing is returned: what its numbers mean depends on attributes that are not given here.

    Returns
    -------
    Five rows per segment. The standard deviation is that of the population, as in IBSI (variance ECT3).

    Raises
    ------
    ModelError
        If the mask does not lie on the grid of `volume`.
    """
    concept = _CONCEPTS.get(modality)
    if concept is None:
        return ()
    unit = codes.image_unit(modality)
    found = []
    for region in regions(volume, segmentation):
        values = region.of(volume)[region.mask].astype(np.float64)
        statistics: tuple[tuple[Code, np.floating], ...] = (
            (codes.MEAN, values.mean()),
            (codes.STANDARD_DEVIATION, values.std()),
            (codes.MINIMUM, values.min()),
            (codes.MAXIMUM, values.max()),
            (codes.MEDIAN, np.median(values)),
        )
        found += [
            Measurement(
                segment_number=region.segment.number, name=concept, value=float(value), unit=unit, derivation=derivation
            )
            for derivation, value in statistics
        ]
    return tuple(found)
