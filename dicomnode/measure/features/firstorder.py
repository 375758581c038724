"""First-order features of pyradiomics, whose moments and percentiles are found once for all that ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomnode.measure.features.discretised import Discretised

# ruff: noqa: N802, N803 (pyradiomics' names)

_PERCENTILES = (10, 25, 75, 90)


class FirstOrder:
    """Goes before pyradiomics' `RadiomicsFirstOrder`; every intensity is finite, so that nothing looks for NaN."""

    settings: Mapping[str, Any]
    coefficients: dict[str, Any]

    def _initSegmentBasedCalculation(self) -> None:
        self.maskArray = self._region.mask

    def _applyBinning(self, _: Any) -> Any:
        return self._region

    def _initCalculation(self, voxelCoordinates: Any = None) -> None:
        self.targetVoxelArray = self._region.values.astype(np.float64).reshape(1, -1)
        counted = self._region.voxels.astype(np.float64)
        self.coefficients["p_i"] = (counted / counted.sum())[None]

    @property
    def _region(self) -> Discretised:
        found: Discretised = self.settings["discretised"]
        return found

    def _moment(self, _: Any, moment: int = 1) -> NDArray[np.float64]:
        found = self._moments.get(moment)
        if found is None:
            found = self._moments[moment] = np.mean(self._power(moment), 1)
        # The caller changes it.
        return found.copy()

    @cached_property
    def _moments(self) -> dict[int, NDArray[np.float64]]:
        return {}

    @cached_property
    def _deviations(self) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self.targetVoxelArray - np.mean(self.targetVoxelArray, 1, keepdims=True)
        return found

    def _power(self, moment: int) -> NDArray[np.float64]:
        """Powers of the deviations; of whole intensities each one's only once, since a power takes long."""
        values = self._region.values
        least, most = int(values.min()), int(values.max())
        found: NDArray[np.float64]
        if values.dtype.kind not in "iu" or most - least >= len(values):
            found = np.power(self._deviations, moment)
        else:
            mean = np.mean(self.targetVoxelArray, 1)
            table = np.power(np.arange(least, most + 1, dtype=np.float64) - mean, moment)
            found = table.take(values.astype(np.intp) - least)[None]
        return found

    @cached_property
    def _percentiles(self) -> dict[int, NDArray[np.float64]]:
        found = np.percentile(self.targetVoxelArray[0], _PERCENTILES)
        return {percent: np.array([value]) for percent, value in zip(_PERCENTILES, found, strict=True)}

    def get10PercentileFeatureValue(self) -> NDArray[np.float64]:
        return self._percentiles[10]

    def get90PercentileFeatureValue(self) -> NDArray[np.float64]:
        return self._percentiles[90]

    def getInterquartileRangeFeatureValue(self) -> NDArray[np.float64]:
        return self._percentiles[75] - self._percentiles[25]

    def getMedianFeatureValue(self) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.median(self.targetVoxelArray, 1)
        return found

    def getRobustMeanAbsoluteDeviationFeatureValue(self) -> NDArray[np.float64]:
        values = self.targetVoxelArray[0]
        least, most = self._percentiles[10], self._percentiles[90]
        # A difference, as pyradiomics judges it.
        outside = (values - least < 0) | (values - most > 0)
        kept = np.where(outside, 0.0, values)
        count = len(values) - np.count_nonzero(outside)
        apart = np.abs(np.where(outside, 0.0, values - kept.sum() / count))
        found: NDArray[np.float64] = np.array([apart.sum() / count])
        return found
