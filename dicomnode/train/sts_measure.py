"""How far the sarcoma model agrees with the contours, beside thresholds and beside what the crop alone gives away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from scipy import ndimage

from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.model import ModelSpec
from dicomnode.infer.answer import answer
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.prepare.grid import Grid
from dicomnode.train.reference import dice
from dicomnode.train.sts_cases import Case, Mask

SHARE_OF_MAXIMUM = 0.41
"""Threshold of the baseline, as a share of the highest SUV (EANM procedure guideline, Eur J Nucl Med 2015;42:328)."""
MARGIN_MM = 50.0
"""The corpus was cropped this far round the contour."""
CUT_MM = 40.0
"""Narrowed crops lose up to this much at every side."""

METHODS = ("network", "network, narrowed crop", "41 % of maximum", "41 % beside the contour", "crop alone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One patient: Dice by method, and volumes of contour, result and what of it touches no contour."""

    name: str
    has_ct: bool
    truth_ml: float
    found_ml: float
    stray_ml: float
    stray_pieces: int
    dices: tuple[float, ...]


def segmented(case: Case, spec: ModelSpec, sessions: Sessions) -> Mask:
    """The tumour as the node finds it, on the grid of the PET."""
    sources = [SourceSeries(volume=volume, planes=()) for volume in (case.pet, case.ct)]
    mask: Mask = answer(sources, spec, sessions).segmentation.volume.array == 1
    return mask


def row(case: Case, spec: ModelSpec, sessions: Sessions, seed: int, found: Mask | None = None) -> Row:
    """All methods on one patient; `found` is what the network said of the whole crop, if that is known already."""
    found = segmented(case, spec, sessions) if found is None else found
    narrow = narrowed(case, seed)
    stray_ml, pieces = stray(found, case.truth, case.pet)
    masks = (
        found, threshold(case.pet), threshold(case.pet, beside=case.truth), crop_alone(case.pet)
    )  # fmt: skip
    network, *others = (dice(mask, case.truth) for mask in masks)
    return Row(
        name=case.name,
        has_ct=case.has_ct,
        truth_ml=case.truth_ml,
        found_ml=_ml(found, case.pet),
        stray_ml=stray_ml,
        stray_pieces=pieces,
        dices=(network, dice(segmented(narrow, spec, sessions), narrow.truth), *others),
    )


def narrowed(case: Case, seed: int) -> Case:
    """The case with up to 40 mm less at each side, by chance, so that no border tells where the tumour ends."""
    rng = np.random.default_rng([seed, *case.name.encode()])
    sides = []
    for length, spacing_mm in zip(case.pet.spatial_shape, case.pet.spacing, strict=True):
        low, high = (int(cut / spacing_mm) for cut in rng.uniform(0, CUT_MM, size=2))
        sides.append((low, length - high))
    part = Grid.of(case.pet).part((sides[0], sides[1], sides[2]))
    box = tuple(slice(low, high) for low, high in sides)
    pet = Volume(case.pet.array[box], part.affine, coordinate_system="PATIENT")
    return replace(case, pet=pet, truth=case.truth[box])


def threshold(pet: Volume, beside: Mask | None = None) -> Mask:
    """Voxels from 41 % of the highest SUV on.

    Parameters
    ----------
    beside
        Look for the highest SUV in here and keep the pieces that touch it, as a reader does who marks the tumour first.
        Without it the highest of the whole image counts, and the piece that holds it.
    """
    suv = pet.array
    marked = suv == suv.max() if beside is None else beside
    pieces, _ = ndimage.label(suv >= SHARE_OF_MAXIMUM * suv[marked].max())
    kept = np.setdiff1d(np.unique(pieces[marked]), [0])
    mask: Mask = np.isin(pieces, kept)
    return mask


def crop_alone(pet: Volume) -> Mask:
    """An ellipsoid that ends 5 cm from the borders: what the way of cropping tells without a look at the image."""
    inside = np.zeros(pet.spatial_shape)
    for axis, (length, spacing_mm) in enumerate(zip(pet.spatial_shape, pet.spacing, strict=True)):
        half_mm = max(length * spacing_mm / 2 - MARGIN_MM, spacing_mm)
        along = (np.arange(length) - (length - 1) / 2) * spacing_mm / half_mm
        inside += along.reshape([-1 if other == axis else 1 for other in range(3)]) ** 2
    mask: Mask = inside <= 1
    return mask


def stray(found: Mask, truth: Mask, pet: Volume) -> tuple[float, int]:
    """Volume in ml and number of the pieces of a result that share no voxel with the contour."""
    pieces, count = ndimage.label(found)
    touching = np.setdiff1d(np.unique(pieces[truth]), [0])
    apart = (pieces > 0) & ~np.isin(pieces, touching)
    return _ml(apart, pet), count - len(touching)


def interval(values: Sequence[float], seed: int = 0, draws: int = 10_000) -> tuple[float, float]:
    """95 % confidence interval of the mean by the percentile bootstrap over patients."""
    data: npt.NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    picks = np.random.default_rng(seed).integers(len(data), size=(draws, len(data)))
    low, high = np.percentile(data[picks].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def _ml(mask: Mask, pet: Volume) -> float:
    return float(mask.sum() * np.prod(pet.spacing) / 1000)
