"""Quality of one region for radiomics: how its slices lie, its unit, its size, the edge of the image, its voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.measuring import RadiomicsSpec

#: Regions of fewer voxels have no texture to speak of: the limit below which LIFEx computes no textural indices
#: (Nioche et al., Cancer Research 2018;78:4786).
LEAST_VOXELS = 64

#: Modality → UCUM unit in which intensities mean the same on every scanner.
_UNITS = {"CT": "[hnsf'U]", "PT": "g/ml{SUVbw}"}

#: Spacings are written with three decimals or more, so that what differs less may be equal.
_ROUNDING = 1e-3


def checks(source: SourceSeries, mask: NDArray[np.bool_], spec: RadiomicsSpec) -> dict[str, Any]:
    """A column for each check, empty where there is nothing to say, and the anisotropy as a number.

    Parameters
    ----------
    mask
        Of the region, on the grid of `source`.
    """
    spacing = [float(length) for length in source.volume.spacing]
    anisotropy = max(spacing) / min(spacing)
    voxels = int(np.count_nonzero(mask))
    return {
        "anisotropy": anisotropy,
        "check_geometry": "; ".join(source.warnings),
        "check_unit": _unit(source, spec),
        "check_size": f"{voxels} voxels, fewer than {LEAST_VOXELS}" if voxels < LEAST_VOXELS else "",
        "check_border": "touches the edge of the image" if _at_border(mask) else "",
        "check_anisotropy": _anisotropic(anisotropy, spec),
    }


def _unit(source: SourceSeries, spec: RadiomicsSpec) -> str:
    modality = str(source.datasets[0].get("Modality") or "")
    needed = _UNITS.get(modality)
    if needed:
        return "" if source.unit == needed else f"{source.unit}, needed {needed} to compare scanners"
    return "" if spec.settings.get("normalize") else f"{source.unit} without normalisation: intensities are arbitrary"


def _at_border(mask: NDArray[np.bool_]) -> bool:
    """Whether the region lies on an outer voxel, along axes that have more than one."""
    faces = (mask.take((0, -1), axis=axis) for axis in range(3) if mask.shape[axis] > 1)
    return any(bool(face.any()) for face in faces)


def _anisotropic(ratio: float, spec: RadiomicsSpec) -> str:
    if spec.most_anisotropy is not None and ratio > spec.most_anisotropy:
        return f"voxels {ratio:.2f} times as long as wide, at most {spec.most_anisotropy:g} is allowed"
    # Textures in space take neighbours along all axes for alike: IBSI asks for isotropic voxels (reference manual 2.4).
    isotropic = spec.settings.get("resampledPixelSpacing") is not None or spec.settings.get("force2D")
    return "" if isotropic or ratio < 1 + _ROUNDING else f"voxels {ratio:.2f} times as long as wide, not resampled"
