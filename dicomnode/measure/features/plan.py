"""What is to be computed of one region, or why nothing is: its size, its voxels, and the grid that it is put on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.domain.code import Code
from dicomnode.domain.measuring import RadiomicsSpec
from dicomnode.measure import codes
from dicomnode.measure.features import standard
from dicomnode.measure.features.frame import Frame, framed, resegmented, trimmed
from dicomnode.measure.mesh import at_border, thin

#: Between voxels of a mask that is coarsened where the bundle does not resample: no value beyond those of the image.
_COARSENING_INTERPOLATOR = "sitkLinear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One region on the grid on which it is measured.

    Attributes
    ----------
    shape
        The region whose shape is told.
    intensity
        The region whose intensities are: without what resegmentation takes away.
    settings
        pyradiomics' settings with which it is computed.
    at_border
        Whether the region touches the edge of the image, so that a part of it may lie outside.
    thin
        Why its mesh says nothing for its extent, in the image or on the grid; "" where it does.
    """

    shape: Frame = field(repr=False)
    intensity: Frame = field(repr=False)
    settings: Mapping[str, Any] = field(repr=False)
    at_border: bool
    thin: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a region has no features."""

    reason: Code
    text: str


def plan(frame: Frame, spec: RadiomicsSpec, settings: Mapping[str, Any]) -> Plan | Refusal:
    """The region of a frame of the source, checked, resampled and resegmented.

    Parameters
    ----------
    settings
        pyradiomics' own, completed.
    """
    if refusal := _unfit(frame, settings):
        return refusal
    if not np.isfinite(frame.array[frame.box][frame.mask]).all():
        return Refusal(reason=codes.NOT_A_NUMBER, text="voxels without a finite intensity, needed one in every voxel")
    voxels = _voxels_on_grid(frame, settings)
    remarks = []
    if voxels > spec.most_voxels:
        found = f"{voxels} voxels, at most {spec.most_voxels} are allowed"
        if not spec.coarsen:
            return Refusal(reason=codes.NOT_ATTEMPTED, text=found)
        settings = _coarsened(frame, settings, voxels / spec.most_voxels)
        sides = " × ".join(f"{length:.2f}" for length in reversed(settings["resampledPixelSpacing"]))
        remarks.append(f"{found}: resampled to {sides} mm ({settings['interpolator']})")
    by_ibsi = settings.get("ibsi")
    whole = standard.framed(frame, settings) if by_ibsi else framed(frame, settings)
    if refusal := _unfit(whole, settings):
        return refusal
    if refusal := _anisotropic(whole, spec, settings):
        return refusal
    try:
        kept = standard.kept(whole, settings) if by_ibsi else resegmented(whole, settings)
    except ValueError as error:
        return Refusal(reason=codes.NOT_ATTEMPTED, text=f"resegmentation left nothing to measure: {error}")
    intensity = whole if kept is whole.mask else trimmed(whole, kept)
    if kept is not whole.mask:
        remarks.append(f"resegmented: {int(kept.sum())} of {int(whole.mask.sum())} voxels have intensities in range")
        if refusal := _unfit(intensity, settings):
            return refusal
        if intensity.box != whole.box and not settings.get("resegmentShape"):
            remarks.append(
                "its shape is that of the whole region, where pyradiomics cuts it to the box of those voxels"
            )
    cut_off = at_border(frame.box, frame.array.shape)
    if cut_off:
        remarks.append("touches the edge of the image: a part of it may lie outside, so its shape is not told")
    return Plan(
        shape=intensity if settings.get("resegmentShape") else whole,
        intensity=intensity,
        settings=settings,
        at_border=cut_off,
        thin=thin(frame.mask) or thin(whole.mask),
        remarks=tuple(remarks),
    )


def perturbed(frame: Frame) -> tuple[Frame, ...]:
    """The region grown and shrunk by one voxel along every axis (six neighbours); without it where nothing is left."""
    wide, place = [], []
    for side, length in zip(frame.box, frame.array.shape, strict=True):
        start, stop = max(0, side.start - 1), min(length, side.stop + 1)
        wide.append(slice(start, stop))
        place.append(slice(side.start - start, side.stop - start))
    mask = np.zeros(tuple(side.stop - side.start for side in wide), dtype=bool)
    mask[tuple(place)] = frame.mask
    outer = replace(frame, box=(wide[0], wide[1], wide[2]), mask=mask)
    # Beyond the edge of the image nothing is known of the region: it does not shrink from there.
    changed = (ndimage.binary_dilation(mask), ndimage.binary_erosion(mask, border_value=1))
    return tuple(trimmed(outer, found) for found in changed if found.any())


def _unfit(frame: Frame, settings: Mapping[str, Any]) -> Refusal | None:
    """Whether pyradiomics' `minimumROIDimensions` and `minimumROISize` forbid it."""
    voxels = int(np.count_nonzero(frame.mask))
    if not voxels:
        return Refusal(reason=codes.NOT_ATTEMPTED, text="no voxel of it is left on the grid of resampling")
    axes = sum(length > 1 for length in frame.mask.shape)
    # pyradiomics takes no single voxel whatever the setting says.
    needed = max(1, int(settings.get("minimumROIDimensions", 2)))
    if axes < needed:
        text = f"its {voxels} voxels extend along {axes} axes, needed {needed} for features to be defined"
        return Refusal(reason=codes.NOT_ATTEMPTED, text=text)
    least = settings.get("minimumROISize")
    if least is not None and voxels <= least:
        return Refusal(reason=codes.NOT_ATTEMPTED, text=f"{voxels} voxels, needed more than {least}")
    return None


def _anisotropic(frame: Frame, spec: RadiomicsSpec, settings: Mapping[str, Any]) -> Refusal | None:
    sides = list(frame.spacing_mm)
    if settings.get("force2D"):
        del sides[int(settings.get("force2Ddimension", 0))]
    ratio = max(sides) / min(sides)
    if spec.most_anisotropy is None or ratio <= spec.most_anisotropy:
        return None
    voxel = " × ".join(f"{length:.2f}" for length in frame.spacing_mm)
    text = f"voxels of {voxel} mm, {ratio:.2f} times as long as wide, at most {spec.most_anisotropy:g} is allowed"
    return Refusal(reason=codes.OUT_OF_RANGE, text=text)


def _grid(frame: Frame, settings: Mapping[str, Any]) -> NDArray[np.float64]:
    """Spacing on which the region is measured, in mm along (slice, row, column)."""
    old = np.array(frame.spacing_mm)
    spacing = settings.get("resampledPixelSpacing")
    if spacing is None or settings.get("interpolator") is None:
        return old
    new = np.array([float(length) for length in reversed(spacing)])
    return np.where(new == 0, old, new)


def _voxels_on_grid(frame: Frame, settings: Mapping[str, Any]) -> int:
    shrinks = float(np.prod(np.array(frame.spacing_mm) / _grid(frame, settings)))
    return round(float(np.count_nonzero(frame.mask)) * shrinks)


def _coarsened(frame: Frame, settings: Mapping[str, Any], times: float) -> dict[str, Any]:
    spacing = _grid(frame, settings) * times ** (1 / 3)
    resampled = settings.get("resampledPixelSpacing") is not None and settings.get("interpolator") is not None
    interpolator = settings["interpolator"] if resampled else _COARSENING_INTERPOLATOR
    return {**settings, "resampledPixelSpacing": spacing[::-1].tolist(), "interpolator": interpolator}
