"""How bright each segment is: mean, standard deviation, minimum, maximum and median of its voxels."""

from __future__ import annotations

import numpy as np
from highdicom import Volume

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Measurement, Segmentation
from dicomnode.measure import codes
from dicomnode.measure.region import regions


def measure(
    volume: Volume, segmentation: Segmentation, modality: str = "CT", unit: str = ""
) -> tuple[Measurement, ...]:
    """Statistics of the rescaled values inside each present segment, coded as quantity and derivation (CID 7464).

    Parameters
    ----------
    volume
        Rescaled intensities on the grid of `segmentation`.
    modality
        MR without unit gives MR signal intensity.
    unit
        UCUM unit of the intensities, `SourceSeries.unit`: Hounsfield units give Attenuation Coefficient, standardised
        uptake values their kind of SUV, diffusion coefficients ADC. What is usual for the modality when empty.

    Returns
    -------
    Five rows per segment; none for a unit whose quantity has no code, such as Bq/ml or counts. The standard deviation
    is that of the population, as in IBSI (variance ECT3).

    Raises
    ------
    ModelError
        If the mask does not lie on the grid of `volume`.
    """
    coded = codes.quantity(modality, unit)
    if coded is None:
        return ()
    concept, coded_unit = coded
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
                segment_number=region.segment.number,
                name=concept,
                value=float(value),
                unit=coded_unit,
                derivation=derivation,
            )
            for derivation, value in statistics
        ]
    return tuple(found)
