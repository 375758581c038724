"""Cleans a label map by the steps that its bundle asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dicomnode.domain.model import Segment, Step
from dicomnode.infer.post.decide import DECISIONS
from dicomnode.infer.post.pieces import Dropped, Labels, keep_largest, lesions, minimum_volume
from dicomnode.infer.post.relate import mask_by, merge
from dicomnode.infer.post.shape import Spacing, closing, fill_holes, opening

Box = tuple[slice, ...]

Affine = npt.NDArray[np.float64]

#: So many of the pieces that were left out are listed with their volume and place.
_LISTED = 10


def tidy(
    labels: Labels,
    steps: Sequence[Step],
    spacing_mm: Spacing = (1.0, 1.0, 1.0),
    segments: Sequence[Segment] = (),
    affine: Affine | None = None,
) -> tuple[str, ...]:
    """Apply the steps to a label map, in place and in order.

    Pieces hang together by faces of voxels (6-neighbourhood) where a step does not say otherwise.

    Parameters
    ----------
    labels
        (slice, row, column), the number of the segment in every voxel.
    spacing_mm
        Distance of voxels along the axes.
    segments
        What the numbers mean, for the warnings.
    affine
        From indices to LPS mm, (4, 4), for places in the warnings; without it they are told in voxels.

    Returns
    -------
    tuple of str
        What was left out and a reader has to know.
    """
    names = {segment.number: segment.label for segment in segments}
    warnings: list[str] = []
    for step in steps:
        if step.name not in DECISIONS:
            warnings += _apply(labels, step, spacing_mm, names, affine)
    return tuple(warnings)


def boxes_of(labels: Labels) -> dict[int, Box]:
    """The smallest box around every label that occurs."""
    boxes: Sequence[Box | None] = ndimage.find_objects(labels)
    return {number: box for number, box in enumerate(boxes, start=1) if box is not None}


def _apply(
    labels: Labels, step: Step, spacing_mm: Spacing, names: dict[int, str], affine: Affine | None
) -> Iterator[str]:
    boxes, options = boxes_of(labels), step.options
    numbers = [number for number in options["segments"] or tuple(boxes) if number in boxes]
    voxel_ml = spacing_mm[0] * spacing_mm[1] * spacing_mm[2] / 1000
    if step.name == "merge":
        merge(labels, options["segments"], options["into"])
    elif step.name == "mask_by":
        others = [number for number in numbers if number != options["by"]]
        inside, margin_mm, whole = options["keep"] == "inside", options["margin_mm"], options["whole"]
        if inside and options["by"] not in boxes:
            # What is not found may have been missed: dropping all that should lie in it would hide what was found.
            for number in others:
                voxels = int((labels[boxes[number]] == number).sum())
                yield (
                    f"{_name(names, number)}: {voxels * voxel_ml:.3g} ml were kept wherever they lie, because "
                    f"{_name(names, options['by'])}, within which they are sought, was not found"
                )
            return
        mask_by(labels, others, options["by"], inside=inside, margin_mm=margin_mm, whole=whole, spacing_mm=spacing_mm)
    elif options.get("together"):
        whole_of = np.isin(labels, numbers).astype(np.uint8)
        keep_largest(whole_of, 1, options["pieces"], corners=options["touching"] == "corners")
        labels[np.isin(labels, numbers) & (whole_of == 0)] = 0
    else:
        for number in numbers:
            part = labels[boxes[number]]
            match step.name:
                case "keep_largest":
                    corners = options.get("touching") == "corners"
                    keep_largest(part, number, options.get("pieces", 1), corners=corners)
                case "minimum_volume":
                    minimum_volume(part, number, options["volume_ml"] / voxel_ml)
                case "fill_holes":
                    fill_holes(part, number, options.get("slicewise", False))
                case "closing":
                    closing(part, number, options["radius_mm"], spacing_mm)
                case "opening":
                    opening(part, number, options["radius_mm"], spacing_mm)
                case "lesions":
                    count, dropped = lesions(part, number, options["into"], _LISTED)
                    if count:
                        corner = np.array([side.start for side in boxes[number]])
                        listed = ", ".join(_piece(one, corner, voxel_ml, affine) for one in dropped)
                        pieces = "1 further piece was" if count == 1 else f"{count} further pieces were"
                        where = "voxels as slice, row, column" if affine is None else "mm LPS"
                        more = f" and {count - _LISTED} no larger" if count > _LISTED else ""
                        yield f"{_name(names, number)}: {pieces} left out (centre in {where}): {listed}{more}"


def _name(names: dict[int, str], number: int) -> str:
    return names.get(number, f"segment {number}")


def _piece(one: Dropped, corner: npt.NDArray[np.int_], voxel_ml: float, affine: Affine | None) -> str:
    """Volume and centre of a piece."""
    index = corner + one.centre
    place = index if affine is None else affine[:3, :3] @ index + affine[:3, 3]
    # Adding 0 turns -0.0 into 0.0.
    return f"{one.voxels * voxel_ml:.2g} ml at ({', '.join(f'{value + 0:.1f}' for value in place.round(1))})"
