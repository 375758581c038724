"""`[[prepare]]` in model.toml: what every step states, and the steps that change the grid."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from dicomnode.domain.model import Step
from dicomnode.infer.bundle.tables import NotNegative, Number, Positive, Table


def _several(value: Any) -> Any:
    """One number as an array of one, and arrays as the tuples that strict mode asks for after this function."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _directions(text: str) -> str:
    axes = ["LR", "PA", "HFSI"]
    if text not in ("axial", "coronal", "sagittal") and sorted(
        next((number for number, pair in enumerate(axes) if letter in pair), -1) for letter in text
    ) != [0, 1, 2]:
        raise ValueError(
            "write axial, coronal, sagittal, or three letters for the directions of growing slice, row and column: "
            "one of L R, one of P A, one of H F (or S I), such as HPL"
        )
    return text


def _each_once(axes: tuple[int, ...]) -> tuple[int, ...]:
    if sorted(axes) != [0, 1, 2]:
        raise ValueError("write 0, 1 and 2, each once, in their new order")
    return axes


Interpolation = Literal["nearest", "linear", "bspline"]
Axis = Annotated[int, Field(ge=0, le=2)]
Spacing = Annotated[tuple[Positive, ...], Field(min_length=1, max_length=3), BeforeValidator(_several)]
#: Counts along (slice, row, column); 0 keeps an axis.
Shape = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=3, max_length=3)]


class PrepareTable(Table):
    """One step; `inputs` names those that it treats, all when empty."""

    step: str
    inputs: tuple[str, ...] = ()

    def as_step(self) -> Step:
        """The same as a domain value."""
        return Step(name=self.step, options=self.model_dump(exclude={"step", "inputs"}), inputs=self.inputs)


class OntoTable(PrepareTable):
    """A step that changes the grid; voxels outside the image get `outside`, or the image's lowest value."""

    outside: Number | None = None


class InterpolatedTable(OntoTable):
    """A step that changes the grid and interpolates."""

    interpolation: Literal["nearest", "linear", "bspline"] = "linear"


class ReorientTable(OntoTable):
    """Axes in the order and direction nearest to a plane's (axial: HPL), or to three letters."""

    step: Literal["reorient"]
    orientation: Annotated[str, AfterValidator(_directions)]


class ResampleTable(InterpolatedTable):
    """Another spacing: one number for all axes, two for rows and columns (slices stay), or (slice, row, column)."""

    step: Literal["resample"]
    spacing_mm: Spacing
    axes: Literal["patient", "source"] = "patient"

    @model_validator(mode="after")
    def _keeps_slices(self) -> Self:
        if len(self.spacing_mm) == 2 and self.axes == "patient":
            raise ValueError('spacing_mm with two numbers keeps the slices as they lie: write axes = "source" with it')
        return self


class ResizeTable(InterpolatedTable):
    """A fixed number of voxels over the same extent; 0 keeps an axis."""

    step: Literal["resize"]
    shape: Shape


class RespaceTable(PrepareTable):
    """Another spacing along the image's own axes over exactly the same extent, which a whole number of voxels divides;
    two numbers keep the slices. Beyond the outermost centres the outermost values go on, and no value leaves the range
    of the others (scikit-image's `resize`, which nnU-Net uses). Where the spacing of the image, or else the new one,
    differs by more than `apart_above` times, the axis of the coarsest is interpolated on its own, by `apart`.
    """

    step: Literal["respace"]
    spacing_mm: Annotated[tuple[Positive, ...], Field(min_length=2, max_length=3)]
    interpolation: Interpolation = "bspline"
    apart_above: Positive | None = None
    apart: Interpolation = "nearest"


class RestepTable(PrepareTable):
    """Another spacing along the image's own axes from its first voxel on, up to the voxel nearest to its last; two
    numbers keep the slices. Beyond the outermost centres the outermost values go on (MONAI's `Spacing`).
    """

    step: Literal["restep"]
    spacing_mm: Annotated[tuple[Positive, ...], Field(min_length=2, max_length=3)]
    interpolation: Literal["nearest", "linear"] = "linear"


class TransposeTable(PrepareTable):
    """Axes in another order: the new slice, row and column axis by the numbers of the old ones."""

    step: Literal["transpose"]
    axes: Annotated[tuple[Axis, Axis, Axis], AfterValidator(_each_once)]


class CropOrPadTable(OntoTable):
    """A fixed number of the same voxels round the centre of the image or of a mask; 0 keeps an axis."""

    step: Literal["crop_or_pad"]
    shape: Shape
    around: Literal["centre", "foreground", "body", "lungs"] = "centre"


class CropToMaskTable(OntoTable):
    """The bounding box of a mask or of the foreground with a margin."""

    step: Literal["crop_to_mask"]
    around: Literal["foreground", "body", "lungs", "nonzero", "positive"]
    margin_mm: NotNegative = 0.0


class AlignTable(InterpolatedTable):
    """The grid of the first input as it is by now."""

    step: Literal["align"]
