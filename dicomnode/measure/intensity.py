"""How bright each segment is: mean, standard deviation, minimum, maximum and median, of lesions in PET the uptake."""

from __future__ import annotations

import numpy as np
from highdicom import Volume

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Measurement, Segmentation
from dicomnode.measure import codes, uptake
from dicomnode.measure.lesion import is_lesion
from dicomnode.measure.measured import Measured, joined, missing
from dicomnode.measure.moments import mean_and_deviation
from dicomnode.measure.region import Region, regions

_DERIVATIONS = (codes.MEAN, codes.STANDARD_DEVIATION, codes.MINIMUM, codes.MAXIMUM, codes.MEDIAN)


def measure(volume: Volume, segmentation: Segmentation, modality: str = "CT", unit: str = "") -> Measured:
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
    is that of the population, as in IBSI (variance ECT3). Where values are standardised uptake, lesions and lymph
    nodes have peak, metabolic volume and total lesion glycolysis, too. A segment with a voxel that is no finite
    number has none of these numbers (114000, DCM): leaving voxels out would measure another region.

    Raises
    ------
    ModelError
        If the mask does not lie on the grid of `volume`.
    """
    coded = codes.quantity(modality, unit)
    if coded is None:
        return Measured()
    return joined(_of(volume, region, *coded) for region in regions(volume, segmentation))


def _of(volume: Volume, region: Region, concept: Code, unit: Code) -> Measured:
    number = region.segment.number
    kept = region.of(volume)[region.mask]
    whole = kept.dtype.kind in "iu"
    values = kept if whole else kept.astype(np.float64)
    wants_uptake = codes.is_uptake(concept) and is_lesion(region.segment)
    unknown = 0 if whole else int(np.count_nonzero(~np.isfinite(values)))
    if unknown:
        text = f"{unknown} of {values.size} voxels have no finite value, needed all of them"
        lacking = [
            missing(number, [(concept, unit)], codes.NOT_A_NUMBER, text, derivation=derivation)
            for derivation in _DERIVATIONS
        ]
        if wants_uptake:
            lacking.append(uptake.unmeasured(number, concept, unit, codes.NOT_A_NUMBER, text))
        return joined(lacking)
    statistics = (*mean_and_deviation(values), values.min(), values.max(), np.median(values))
    rows = tuple(
        Measurement(segment_number=number, name=concept, value=float(value), unit=unit, derivation=derivation)
        for derivation, value in zip(_DERIVATIONS, statistics, strict=True)
    )
    found = [Measured(measurements=rows)]
    if wants_uptake:
        found.append(uptake.measure(volume, region, values.astype(np.float64), concept, unit))
    return joined(found)
