"""`[[prepare]]` in model.toml: the steps before the network, each with its settings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from dicomnode.domain.model import Step
from dicomnode.infer.bundle.tables import Count, NotNegative, Number, Positive, Range, Table


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


def _rising(values: tuple[float, ...]) -> tuple[float, ...]:
    if any(low >= high for low, high in pairwise(values)):
        raise ValueError("write rising numbers, each once")
    return values


def _each_once(axes: tuple[int, ...]) -> tuple[int, ...]:
    if sorted(axes) != [0, 1, 2]:
        raise ValueError("write 0, 1 and 2, each once, in their new order")
    return axes


Interpolation = Literal["nearest", "linear", "bspline"]
Axis = Annotated[int, Field(ge=0, le=2)]
Spacing = Annotated[tuple[Positive, ...], Field(min_length=1, max_length=3), BeforeValidator(_several)]
Percent = Annotated[Number, Field(ge=0, le=100)]
Percents = Annotated[tuple[Percent, ...], Field(min_length=2), AfterValidator(_rising)]
#: Counts along (slice, row, column); 0 keeps an axis.
Shape = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=3, max_length=3)]
Over = Literal["whole", "foreground", "body", "lungs", "nonzero"]
UNIT_RANGE = (0.0, 1.0)


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
    around: Literal["foreground", "body", "lungs", "nonzero"]
    margin_mm: NotNegative = 0.0


class AlignTable(InterpolatedTable):
    """The grid of the first input as it is by now."""

    step: Literal["align"]


class FillTable(PrepareTable):
    """Give `value` to what is not a finite number or, if stated, lies below a limit as padding does."""

    step: Literal["fill"]
    value: Number
    below: Number | None = None


class ClipTable(PrepareTable):
    """Limit the values."""

    step: Literal["clip"]
    range: Range


class NormalisedTable(PrepareTable):
    """A step that takes statistics of the voxels that count; the others are treated alike, or get `outside`."""

    over: Over = "whole"
    outside: Number | None = None

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if self.outside is not None and self.over == "whole":
            raise ValueError('nothing lies outside over = "whole": write over = "foreground" or a mask with outside')
        return self


class ClipPercentilesTable(NormalisedTable):
    """Limit the values to percentiles; voxels outside `over` too, or they get `outside`, if stated."""

    step: Literal["clip_percentiles"]
    percentiles: Annotated[tuple[Percent, Percent], AfterValidator(_rising)]


class ScaleTable(PrepareTable):
    """Map one range linearly to another."""

    step: Literal["scale"]
    range: Range
    to: Range = UNIT_RANGE


class WindowTable(PrepareTable):
    """Map a window linearly and limit what lies beyond it (LINEAR_EXACT, PS3.3 C.11.2.1.3.2)."""

    step: Literal["window"]
    centre: Number
    width: Positive
    to: Range = UNIT_RANGE


class MinMaxTable(NormalisedTable):
    """Map lowest and highest value to a range; voxels outside `over` may go beyond it, or get `outside`, if stated."""

    step: Literal["minmax"]
    to: Range = UNIT_RANGE


class ZScoreTable(NormalisedTable):
    """Subtract the mean and divide by the standard deviation, the image's or those given; voxels outside `over` too,
    or they get `outside`, if stated.
    """

    step: Literal["zscore"]
    mean: Number | None = None
    deviation: Positive | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.mean is None) != (self.deviation is None):
            raise ValueError("state both mean and deviation, or neither for the image's own")
        return self


class GammaTable(PrepareTable):
    """Raise values, as fractions of the range of `over` and limited to it, to a power."""

    step: Literal["gamma"]
    exponent: Positive
    over: Over = "whole"


class LogTable(PrepareTable):
    """The natural logarithm of value + offset."""

    step: Literal["log"]
    offset: Number = 0.0


class BinsTable(PrepareTable):
    """Numbers of equal-width bins from 0: so many over the range, or of a width."""

    step: Literal["bins"]
    count: Annotated[int, Field(ge=2)] | None = None
    width: Positive | None = None
    range: Range | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.count is None) == (self.width is None):
            raise ValueError("state either count or width of the bins")
        return self


class MatchHistogramTable(PrepareTable):
    """Map percentiles of the image to the values that a reference has there."""

    step: Literal["match_histogram"]
    percentiles: Percents
    reference: Annotated[tuple[Number, ...], Field(min_length=2), AfterValidator(_rising)]
    over: Over = "whole"

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.percentiles) != len(self.reference):
            counts = f"{len(self.percentiles)} and {len(self.reference)}"
            raise ValueError(f"percentiles and reference hold {counts} numbers: state as many of both")
        return self


class EqualiseTable(PrepareTable):
    """Equalise the histogram, to 0..1."""

    step: Literal["equalise"]
    bins: Annotated[int, Field(ge=2)] = 256
    over: Over = "whole"


class EqualiseLocallyTable(PrepareTable):
    """Equalise within squares of every slice that reach `radius` pixels (3 or more), to 0..1; ranks are interpolated
    between them.
    """

    step: Literal["equalise_locally"]
    radius: Annotated[int, Field(ge=3)]
    strength: Annotated[Number, Field(ge=0, le=1)] = 1.0


class GaussianTable(PrepareTable):
    """Smooth with a Gaussian."""

    step: Literal["gaussian"]
    sigma_mm: Positive


class MedianTable(PrepareTable):
    """Smooth with the median of a box that reaches so many voxels along (slice, row, column)."""

    step: Literal["median"]
    radius: Shape


class BiasFieldTable(PrepareTable):
    """Even out shading with N4; the defaults are those of ITK."""

    step: Literal["bias_field"]
    over: Literal["otsu", "whole", "foreground", "body", "lungs"] = "otsu"
    shrink: Count = 4
    iterations: Annotated[tuple[Count, ...], Field(min_length=1)] = (50, 50, 50, 50)


class BodyMaskTable(PrepareTable):
    """Find the body without the couch; everything else gets `outside`, if stated."""

    step: Literal["body_mask"]
    above: Number = -400.0
    couch_mm: Positive = 10.0
    outside: Number | None = None


class LungsTable(PrepareTable):
    """Find the region of the lungs; everything else gets `outside`, if stated."""

    step: Literal["lungs"]
    air_below: Number = -400.0
    bone_above: Number = 200.0
    mirror: bool = True
    dilation: Annotated[int, Field(ge=0)] = 5
    outside: Number | None = None


class NonzeroTable(PrepareTable):
    """Find where any of the inputs is not 0, with all that this encloses (nnU-Net's region of interest)."""

    step: Literal["nonzero"]


class SetOutsideTable(PrepareTable):
    """Give a value to all voxels outside a mask or the foreground."""

    step: Literal["set_outside"]
    over: Literal["foreground", "body", "lungs", "nonzero"]
    value: Number


AnyPrepare = Annotated[
    AlignTable
    | BiasFieldTable
    | BinsTable
    | BodyMaskTable
    | ClipPercentilesTable
    | ClipTable
    | CropOrPadTable
    | CropToMaskTable
    | EqualiseLocallyTable
    | EqualiseTable
    | FillTable
    | GammaTable
    | GaussianTable
    | LogTable
    | LungsTable
    | MatchHistogramTable
    | MedianTable
    | MinMaxTable
    | NonzeroTable
    | ReorientTable
    | ResampleTable
    | ResizeTable
    | RespaceTable
    | ScaleTable
    | SetOutsideTable
    | TransposeTable
    | WindowTable
    | ZScoreTable,
    Field(discriminator="step"),
]


#: Masks that later steps may name, and the steps that find them.
MADE_BY = MappingProxyType({"body": "body_mask", "lungs": "lungs", "nonzero": "nonzero"})


def contradictions(steps: Sequence[PrepareTable], inputs: Collection[str]) -> Iterator[str]:
    """What cannot be done in this order or with these inputs, in words with what is needed."""
    done: set[str] = set()
    for number, table in enumerate(steps):
        where = f"prepare[{number}] ({table.step})"
        asked = str(getattr(table, "over", None) or getattr(table, "around", None))
        if asked in MADE_BY and MADE_BY[asked] not in done:
            yield f"{where} asks for the mask {asked}, needed a step {MADE_BY[asked]} before it"
        if strange := sorted(set(table.inputs) - set(inputs)):
            yield f"{where} names inputs {strange}, needed some of {sorted(inputs)}"
        done.add(table.step)
