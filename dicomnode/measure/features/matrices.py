"""Texture classes of pyradiomics, whose matrices come from one count of what lies beside what for all of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
from radiomics import cMatrices

from dicomnode.measure.features.discretised import Discretised
from dicomnode.measure.features.texture import Counts, dependences, differences, runs, sizes_of_zones

# ruff: noqa: N802, N803 (pyradiomics' names)


class OfTexture:
    """Goes before a texture class of pyradiomics and hands the discretised region on in place of an image."""

    settings: Mapping[str, Any]
    coefficients: dict[str, Any]

    def _initSegmentBasedCalculation(self) -> None:
        self.maskArray = self.settings["discretised"].mask

    def _applyBinning(self, _: Any) -> Discretised:
        region: Discretised = self.settings["discretised"]
        self.coefficients["grayLevels"] = region.present
        self.coefficients["Ng"] = int(region.present[-1])
        return region


class SizeZone(OfTexture):
    """GLSZM, of which pyradiomics makes a column for every size up to the largest: gigabytes for a lung."""

    imageArray: Discretised  # noqa: N815
    P_glszm: Any

    def _calculateMatrix(self, voxelCoordinates: Any = None) -> Any:
        texture = self.imageArray.texture
        if texture is None:
            return self._plain("_calculateMatrix", voxelCoordinates)
        sizes, found = sizes_of_zones(texture)
        # What numpy.delete leaves lies in another order, in which it is then summed, where it takes a single column
        # away; as many as matter are added for it.
        self._absent = min(int(sizes[-1]) - len(sizes), 2)
        self._sizes = np.concatenate([sizes, np.zeros(self._absent)])
        return np.pad(found, ((0, 0), (0, self._absent)))[None].astype(np.float64)

    def _calculateCoefficients(self) -> None:
        if self.imageArray.texture is None:
            self._plain("_calculateCoefficients")
            return
        zones = self.P_glszm
        empty = (np.arange(len(self._sizes) - self._absent, len(self._sizes)),)
        self.P_glszm = np.delete(zones, empty, 2)
        self.coefficients.update(
            Np=np.array([float(len(self.imageArray.values))]),
            Nz=zones.sum((1, 2)),
            ps=np.delete(zones.sum(1), empty, 1),
            pg=zones.sum(2),
            ivector=self.imageArray.present.astype(np.float64),
            jvector=np.delete(self._sizes, empty),
        )

    def _plain(self, method: str, *arguments: Any) -> Any:
        return getattr(super(), method)(*arguments)


def counting(original: type) -> Any:
    """pyradiomics' `_calculateMatrix` with the functions below in place of its C code of the same names."""
    names = vars(sys.modules[original.__module__])
    return FunctionType(vars(original)["_calculateMatrix"].__code__, {**names, "cMatrices": _COUNTS}, None, (None,))


def _glcm(region: Discretised, mask: Any, distances: Any, most: int, *flat: Any) -> Any:
    texture = region.texture
    if texture is None:
        return cMatrices.calculate_glcm(region.levels, mask, distances, most, *flat)
    found = np.zeros((1, most, most, len(texture.angles)))
    rows = texture.present - 1
    found[0][np.ix_(rows, rows)] = texture.pairs.transpose(1, 2, 0)
    return found, np.array(texture.angles)


def _glrlm(region: Discretised, mask: Any, most: int, longest: int, *flat: Any) -> Any:
    texture = region.texture
    if texture is None:
        return cMatrices.calculate_glrlm(region.levels, mask, most, longest, *flat)
    counted = runs(texture)
    found = np.zeros((1, most, longest, len(texture.angles)))
    found[0, texture.present - 1, : counted.shape[1]] = counted
    return found, np.array(texture.angles)


def _glszm(region: Discretised, mask: Any, *others: Any) -> Any:
    # Its C code takes voxels out of the mask that it is given.
    return cMatrices.calculate_glszm(region.levels, mask.copy(), *others)


def _gldm(region: Discretised, mask: Any, distances: Any, most: int, apart: int, *flat: Any) -> Any:
    texture = region.texture
    if texture is None or apart:
        # Of neighbours that are nearly equal nothing was counted.
        return cMatrices.calculate_gldm(region.levels, mask, distances, most, apart, *flat)
    counted = dependences(texture)
    # pyradiomics takes each direction twice when it counts the columns.
    return _on_rows(np.pad(counted, ((0, 0), (0, counted.shape[1] - 1))), most, texture.present)


def _ngtdm(region: Discretised, mask: Any, distances: Any, most: int, *flat: Any) -> Any:
    texture = region.texture
    if texture is None:
        return cMatrices.calculate_ngtdm(region.levels, mask, distances, most, *flat)
    columns: Any = (texture.voxels, differences(texture), texture.present)
    return _on_rows(np.stack(columns, axis=1), most, texture.present)


def _on_rows(counted: Any, most: int, present: Counts) -> Any:
    """A row for every level up to `most`, as pyradiomics expects it."""
    found = np.zeros((1, most, counted.shape[1]))
    found[0, present - 1] = counted
    return found


_COUNTS = SimpleNamespace(
    calculate_glcm=_glcm,
    calculate_glrlm=_glrlm,
    calculate_glszm=_glszm,
    calculate_gldm=_gldm,
    calculate_ngtdm=_ngtdm,
)
