"""The region of the lungs in CT: their air, mirrored about the spine so that a dense lung counts, and widened."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare.body import (
    SMALLEST_SHARE,
    body_of,
    coarse,
    coarse_steps,
    fine,
    set_outside,
    upright_of,
    with_upright,
)
from dicomnode.infer.prepare.grid import Grid
from dicomnode.infer.prepare.image import Array, Image, Mask
from dicomnode.infer.prepare.interpolate import slabs, taken
from dicomnode.infer.prepare.morphology import dilated, eroded, filled, pieces_of

#: The spine is sought this share of the body's width on either side of its middle, as DuneAI does within the image.
MIDDLE_SHARE = 0.15

#: Bone is counted over about half of a thoracic vertebra, 20 to 30 mm wide and high (Panjabi 1991, Spine 16:861), so
#: that the middle of the body counts and not a pedicle or a rib.
VERTEBRA_MM = 10.0

#: Values of soft tissue without contrast end below this; the couch is cut off before.
TISSUE_ABOVE_HU, COUCH_MM = -400.0, 10.0


def lungs(
    image: Image,
    *,
    air_below: float = -400.0,
    bone_above: float = 200.0,
    mirror: bool = True,
    dilation: int = 5,
    outside: float | None = None,
) -> Image:
    """Find the region of the lungs: mask `lungs`.

    Air inside the body, in pieces of the size of a lung; its image mirrored about the spine joined to it; widened
    within axial slices. After Primakov 2022 (Nat. Commun. 13:3423), whose network sees nothing else.

    Parameters
    ----------
    air_below, bone_above
        Limits in HU.
    mirror
        Whether to join the mirror image: a lung full of tumour or fluid holds no air, the other one shows its place.
    dilation
        Radius in pixels of the disc that widens the region.
    outside
        Value that everything else gets, if given.

    Raises
    ------
    Unsuitable
        If the body holds no air, or no bone to mirror about.
    """
    array, upright = upright_of(image)
    if "body" in image.masks:
        body = taken(image.masks["body"], image.grid, upright, outside=0.0)
    else:
        body = body_of(array, upright, TISSUE_ABOVE_HU, COUCH_MM)
    mask = air_of(array, upright, body, air_below)
    if mirror:
        mask |= mirrored(mask, spine_of(array, upright, body, bone_above))
    image = with_upright(image, "lungs", dilated(mask, dilation), upright)
    return image if outside is None else set_outside(image, over="lungs", value=outside)


def air_of(array: Array, grid: Grid, body: Mask, below: float) -> Mask:
    """Air inside the body, in pieces of the size of a lung, with what it encloses within a slice."""
    steps = coarse_steps(grid)
    inner = eroded(coarse(body, steps), 1)
    pieces = pieces_of((coarse(array, steps) < below) & inner, SMALLEST_SHARE)
    if not pieces.any():
        raise Unsuitable(f"lungs: no value inside the body is below {below:g} HU, needed air")
    mask = fine(dilated(pieces, 1), steps, array.shape)
    for part in slabs(grid.shape):
        mask[part] &= (array[part] < below) & body[part]
        mask[part] = filled(mask[part])
    return mask


def spine_of(array: Array, grid: Grid, body: Mask, bone_above: float) -> npt.NDArray[np.int_]:
    """The column, per slice, about which the skeleton's middle lies."""
    steps = coarse_steps(grid)
    inner = coarse(body, steps)
    bone = ((coarse(array, steps) > bone_above) & inner).sum(axis=1).astype(np.float64)
    columns = np.flatnonzero(inner.any(axis=(0, 1)))
    reach = MIDDLE_SHARE * (columns[-1] - columns[0] + 1)
    middle = (columns[0] + columns[-1]) / 2
    low, high = int(middle - reach), int(middle + reach) + 1
    width_mm = np.array([grid.spacing_mm[0], grid.spacing_mm[2] * steps[1]])
    smooth = ndimage.gaussian_filter(bone, VERTEBRA_MM / width_mm)[:, low:high]
    if not smooth.any():
        raise Unsuitable(f"lungs: no value in the middle of the body is above {bone_above:g} HU, needed a spine")
    found: npt.NDArray[np.int_] = (low + smooth.argmax(axis=1)) * steps[1] + (steps[1] - 1) // 2
    return found


def mirrored(mask: Mask, axis: npt.NDArray[np.int_]) -> Mask:
    """Every slice mirrored about a column of its own; what leaves the image is lost."""
    result = np.zeros_like(mask)
    columns = np.arange(mask.shape[2])
    for source, target, middle in zip(mask, result, axis, strict=True):
        from_ = 2 * middle - columns
        within = (from_ >= 0) & (from_ < mask.shape[2])
        target[:, within] = source[:, from_[within]]
    return result
