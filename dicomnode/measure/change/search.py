"""Where rigid registration starts: both bodies' middles on each other, then shifted along the body as fits best."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK

#: Its stubs leave most functions untyped.
itk: Any = SimpleITK

#: Step of the shifts in mm: half the 32 mm that a voxel of the coarsest level of registration covers on either side.
START = 16.0

#: Voxels are averaged once more by this factor before shifts are tried.
_FACTOR = 2


def start(fixed: Any, moving: Any, mask: Any, other: Any, step_mm: float) -> Any:
    """A rigid transform without rotation from points of `fixed` to points of `moving`.

    Two studies seldom cover the same part of the body, so that its middle says little about head and foot.

    Parameters
    ----------
    mask, other
        The bodies in `fixed` and in `moving`.
    step_mm
        Distance of the shifts that are tried.
    """
    centre, wanted = _middle(mask), _middle(other)
    small, shown = (_smaller(image) for image in (fixed, moving))
    inner = itk.GetArrayFromImage(itk.Resample(mask, small, itk.Transform(), itk.sitkNearestNeighbor, 0)) > 0
    here = itk.GetArrayFromImage(small)
    outside = float(itk.GetArrayViewFromImage(shown).min())
    reach = sum(_height(image) for image in (fixed, moving)) / 4
    best: tuple[float, Any] | None = None
    for shift in np.arange(-(reach // step_mm), reach // step_mm + 1) * step_mm:
        candidate = itk.Euler3DTransform()
        candidate.SetCenter(centre.tolist())
        candidate.SetTranslation((wanted - centre + [0.0, 0.0, shift]).tolist())
        # What the other image does not show counts as air, so that a small overlap does not win.
        there = itk.GetArrayFromImage(itk.Resample(shown, small, candidate, itk.sitkLinear, outside))
        agreement = _agreement(here[inner], there[inner])
        if best is None or agreement > best[0]:
            best = agreement, candidate
    return best[1] if best else itk.Euler3DTransform()


def _agreement(here: Any, there: Any) -> float:
    if len(here) < 2 or not here.std() or not there.std():
        return -1.0
    return float(np.corrcoef(here, there)[0, 1])


def _middle(mask: Any) -> Any:
    shape = itk.LabelShapeStatisticsImageFilter()
    shape.Execute(mask)
    return np.array(shape.GetCentroid(1) if shape.HasLabel(1) else mask.GetOrigin())


def _smaller(image: Any) -> Any:
    return itk.BinShrink(image, [_FACTOR if size >= 4 * _FACTOR else 1 for size in image.GetSize()])


def _height(image: Any) -> float:
    """Extent along head and foot."""
    corners = [
        image.TransformIndexToPhysicalPoint(
            [place * (size - 1) for place, size in zip(at, image.GetSize(), strict=True)]
        )
        for at in np.ndindex(2, 2, 2)
    ]
    along = [float(corner[2]) for corner in corners]
    return max(along) - min(along)
