"""Cleans a label map by the steps that its bundle asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from scipy import ndimage

from dicomnode.domain.model import Segment, Step
from dicomnode.infer.post.decide import DECISIONS
from dicomnode.infer.post.pieces import Labels, keep_largest, lesions, minimum_volume
from dicomnode.infer.post.relate import mask_by, merge
from dicomnode.infer.post.shape import Spacing, closing, fill_holes, opening

Box = tuple[slice, ...]

#: So many of the pieces that were left out are listed with their volume.
_LISTED = 10


def tidy(
    labels: Labels, steps: Sequence[Step], spacing_mm: Spacing = (1.0, 1.0, 1.0), segments: Sequence[Segment] = ()
) -> tuple[str, ...]:
    """Apply the steps to a label map, in place and in order.

    Pieces hang together by faces of voxels (6-neighbourhood).

    Parameters
    ----------
    labels
        (slice, row, column), the number of the segment in every voxel.
    spacing_mm
        Distance of voxels along the axes.
    segments
        What the numbers mean, for the warnings.

    Returns
    -------
    tuple of str
        What was left out and a reader has to know.
    """
    names = {segment.number: segment.label for segment in segments}
    warnings: list[str] = []
    for step in steps:
        if step.name not in DECISIONS:
            warnings += _apply(labels, step, spacing_mm, names)
    return tuple(warnings)


def boxes_of(labels: Labels) -> dict[int, Box]:
    """The smallest box around every label that occurs."""
    boxes: Sequence[Box | None] = ndimage.find_objects(labels)
    return {number: box for number, box in enumerate(boxes, start=1) if box is not None}


def _apply(labels: Labels, step: Step, spacing_mm: Spacing, names: dict[int, str]) -> Iterator[str]:
    boxes, options = boxes_of(labels), step.options
    numbers = [number for number in options["segments"] or tuple(boxes) if number in boxes]
    voxel_ml = spacing_mm[0] * spacing_mm[1] * spacing_mm[2] / 1000
    if step.name == "merge":
        merge(labels, options["segments"], options["into"])
    elif step.name == "mask_by":
        others = [number for number in numbers if number != options["by"]]
        inside, margin_mm, whole = options["keep"] == "inside", options["margin_mm"], options["whole"]
        mask_by(labels, others, options["by"], inside=inside, margin_mm=margin_mm, whole=whole, spacing_mm=spacing_mm)
    else:
        for number in numbers:
            part = labels[boxes[number]]
            match step.name:
                case "keep_largest":
                    keep_largest(part, number, options.get("pieces", 1))
                case "minimum_volume":
                    minimum_volume(part, number, options["volume_ml"] / voxel_ml)
                case "fill_holes":
                    fill_holes(part, number, options.get("slicewise", False))
                case "closing":
                    closing(part, number, options["radius_mm"], spacing_mm)
                case "opening":
                    opening(part, number, options["radius_mm"], spacing_mm)
                case "lesions":
                    dropped = lesions(part, number, options["into"])
                    yield from _told(names.get(number, f"segment {number}"), [size * voxel_ml for size in dropped])


def _told(name: str, volumes_ml: Sequence[float]) -> Iterable[str]:
    if volumes_ml:
        listed = ", ".join(f"{volume:.2g}" for volume in volumes_ml[:_LISTED])
        more = f" and {len(volumes_ml) - _LISTED} smaller ones" if len(volumes_ml) > _LISTED else ""
        yield f"{name}: {len(volumes_ml)} further pieces were left out, of {listed} ml{more}"
