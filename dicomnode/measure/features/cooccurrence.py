"""GLCM features of pyradiomics that go through its matrix once for every grey level, with less to go through."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomnode.measure.features.matrices import OfTexture

# ruff: noqa: N802 (pyradiomics' names)

Array = NDArray[np.float64]


class CoOccurrence(OfTexture):
    """Every value is made of the same terms in the same order as that of pyradiomics, but for terms that are zero."""

    #: Shape (1, level, level, direction).
    P_glcm: Array

    def _calculateCoefficients(self) -> None:
        if self.P_glcm.shape[3] == 1:
            # numpy adds up a single direction in another order.
            self._plain("_calculateCoefficients")
            return
        matrix, most = self.P_glcm, int(self.coefficients["Ng"])
        eps = np.spacing(1)
        levels = self.coefficients["grayLevels"].astype(np.float64)
        i, j = np.meshgrid(levels, levels, indexing="ij", sparse=True)
        self.coefficients.update(
            eps=eps,
            i=i,
            j=j,
            kValuesSum=np.arange(2, 2 * most + 1, dtype=np.float64),
            kValuesDiff=np.arange(0, most, dtype=np.float64),
            px=matrix.sum(2, keepdims=True),
            py=matrix.sum(1, keepdims=True),
            ux=np.sum(i[None, :, :, None] * matrix, (1, 2), keepdims=True),
            uy=np.sum(j[None, :, :, None] * matrix, (1, 2), keepdims=True),
            pxAddy=self._along((i + j).astype(np.intp) - 2, 2 * most - 1),
            pxSuby=self._along(np.abs(i - j).astype(np.intp), most),
            HXY=-np.sum(matrix * np.log2(matrix + eps), (1, 2)),
        )

    def _along(self, place: NDArray[np.intp], length: int) -> Array:
        """Sum of the matrix over the pairs of levels with the same `place`, shape (1, place, direction)."""
        directions = self.P_glcm.shape[3]
        terms = self.P_glcm.ravel()
        at = np.flatnonzero(terms)
        pair, direction = np.divmod(at, directions)
        key = place.ravel().take(pair) * directions + direction
        summed = np.bincount(key, weights=terms.take(at), minlength=length * directions)
        return summed.reshape(1, length, directions).astype(np.float64)

    def getClusterProminenceFeatureValue(self) -> Array:
        return self._cluster(4)

    def getClusterShadeFeatureValue(self) -> Array:
        return self._cluster(3)

    def _cluster(self, power: int) -> Array:
        """A power of how far the sum of two levels is from its mean: of each sum only once, since it takes long."""
        i, j, ux, uy = (self.coefficients[name] for name in ("i", "j", "ux", "uy"))
        sums = self.coefficients["kValuesSum"][:, None]
        powers = (sums - ux[0, 0] - uy[0, 0]) ** power
        terms = self.P_glcm * powers.take((i + j).astype(np.intp) - 2, axis=0)
        found: Array = np.nanmean(np.sum(terms, (1, 2)), 1)
        return found

    def getMCCFeatureValue(self) -> Any:
        count = self.P_glcm.shape[1]
        if count < 2:
            # pyradiomics' value of a flat region.
            return 1
        # With a direction behind the other, and a level's neighbours beside each other.
        matrix = np.ascontiguousarray(self.P_glcm[0].transpose(2, 1, 0))
        rows = np.ascontiguousarray(self.coefficients["px"][0, :, 0].T)
        columns = np.ascontiguousarray(self.coefficients["py"][0, 0].T)
        q = np.zeros((len(matrix), count, count))
        for level in range(count):
            beside = np.flatnonzero(matrix[:, level].any(axis=0))
            if not len(beside):
                continue
            part = slice(int(beside[0]), int(beside[-1]) + 1)
            values = matrix[:, level, part]
            divisor = rows[:, part] * columns[:, level, None] + self.coefficients["eps"]
            q[:, part, part] += values[:, :, None] * values[:, None, :] / divisor[:, :, None]
        eigenvalues = np.linalg.eigvals(q[None])
        eigenvalues.sort()
        return np.nanmean(np.sqrt(eigenvalues[:, :, -2]), 1).real

    def _plain(self, method: str) -> Any:
        return getattr(super(), method)()
