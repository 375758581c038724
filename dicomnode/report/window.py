"""Which intensities a picture shows from black to white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.model import Segment

#: Centre and width in HU (PS3.3 C.11.2.1.2) of the two windows in which a chest is read.
_LUNG_HU = (-600.0, 1500.0)
_SOFT_TISSUE_HU = (40.0, 400.0)

#: Half-way between air and water: what lies below is aerated.
_AERATED_HU = -500.0

#: 39607008 "Lung" (SCT).
_LUNGS = frozenset({"39607008"})

#: Body-weight SUV up to which PET is usually shown.
_SUV_SHOWN = 10.0

#: Percentiles that leave out a few hot or empty voxels.
_SHOWN_PERCENT = (1.0, 99.5)

#: So many voxels along each axis are enough for a percentile of a volume.
_SAMPLED = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The lowest and highest intensity shown, and whether high is black."""

    low: float
    high: float
    inverted: bool = False

    def grey(self, image: NDArray[Any]) -> NDArray[np.uint8]:
        """Grey levels, 0 to 255, of the same shape."""
        scaled = (image.astype(np.float32) - self.low) * np.float32(255 / (self.high - self.low))
        levels: NDArray[np.uint8] = np.clip(np.nan_to_num(scaled, nan=0.0), 0, 255).astype(np.uint8)
        return np.subtract(255, levels, dtype=np.uint8) if self.inverted else levels


def window_for(source: SourceSeries, segment: Segment | None, box: tuple[slice, ...] | None) -> Window:
    """The window in which a finding is looked at.

    CT has the lung window where the finding is a lung or most of what surrounds it is air, else that of soft tissue;
    PET is black on white; all else goes from the first percentile of the series up.

    Parameters
    ----------
    box
        The finding and its surroundings.
    """
    array = source.volume.array
    modality = str(source.datasets[0].get("Modality") or "")
    if modality == "CT" or source.unit == "[hnsf'U]":
        codes = (
            {segment.type.value, segment.anatomic_region.value if segment.anatomic_region else ""} if segment else set()
        )
        around = _sampled(array[box] if box else array)
        aerated = box is not None and float(np.median(around)) < _AERATED_HU
        centre, width = _LUNG_HU if codes & _LUNGS or aerated else _SOFT_TISSUE_HU
        return Window(low=centre - width / 2, high=centre + width / 2)
    if "SUV" in source.unit:
        return Window(low=0.0, high=_SUV_SHOWN, inverted=True)
    sample = _sampled(array)
    sample = sample[np.isfinite(sample)]
    low, high = np.percentile(sample, _SHOWN_PERCENT) if sample.size else (0.0, 1.0)
    inverted = modality in ("PT", "NM")
    # A series that is one value all over is shown grey, not divided by nothing.
    return Window(
        low=0.0 if inverted else float(low), high=float(max(high, low + 1e-6 * max(1.0, abs(low)))), inverted=inverted
    )


def _sampled(array: NDArray[Any]) -> NDArray[Any]:
    return array[tuple(slice(None, None, -(-length // _SAMPLED)) for length in array.shape)]
