"""`[[prepare]]` in model.toml: the steps before the network, each with its settings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from dicomnode.infer.bundle.grids import (
    AlignTable,
    CropOrPadTable,
    CropToMaskTable,
    PrepareTable,
    ReorientTable,
    ResampleTable,
    ResizeTable,
    RespaceTable,
    RestepTable,
    Shape,
    TransposeTable,
)
from dicomnode.infer.bundle.tables import Count, Number, Positive, Range


def _rising(values: tuple[float, ...]) -> tuple[float, ...]:
    if any(low >= high for low, high in pairwise(values)):
        raise ValueError("write rising numbers, each once")
    return values


Percent = Annotated[Number, Field(ge=0, le=100)]
Percents = Annotated[tuple[Percent, ...], Field(min_length=2), AfterValidator(_rising)]
Over = Literal["whole", "foreground", "body", "lungs", "nonzero", "positive"]
UNIT_RANGE = (0.0, 1.0)


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
    """Map lowest and highest value, or two percentiles, to a range; what lies beyond them goes beyond it, and voxels
    outside `over` may, or get `outside`, if stated.
    """

    step: Literal["minmax"]
    to: Range = UNIT_RANGE
    percentiles: Annotated[tuple[Percent, Percent], AfterValidator(_rising)] | None = None


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


class LabelledTable(PrepareTable):
    """Count as `nonzero`, too, what the coarse model in `[cascade]` has labelled (nnU-Net's second stage)."""

    step: Literal["labelled"]


class PositiveTable(PrepareTable):
    """Find where any of the inputs is above 0 (MONAI's foreground)."""

    step: Literal["positive"]


class SetOutsideTable(PrepareTable):
    """Give a value to all voxels outside a mask or the foreground."""

    step: Literal["set_outside"]
    over: Literal["foreground", "body", "lungs", "nonzero", "positive"]
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
    | LabelledTable
    | LogTable
    | LungsTable
    | MatchHistogramTable
    | MedianTable
    | MinMaxTable
    | NonzeroTable
    | PositiveTable
    | ReorientTable
    | ResampleTable
    | ResizeTable
    | RespaceTable
    | RestepTable
    | ScaleTable
    | SetOutsideTable
    | TransposeTable
    | WindowTable
    | ZScoreTable,
    Field(discriminator="step"),
]


#: Masks that later steps may name, and the steps that find them.
MADE_BY = MappingProxyType({"body": "body_mask", "lungs": "lungs", "nonzero": "nonzero", "positive": "positive"})


def contradictions(steps: Sequence[PrepareTable], inputs: Collection[str]) -> Iterator[str]:
    """What cannot be done in this order or with these inputs, in words with what is needed."""
    done: set[str] = set()
    for number, table in enumerate(steps):
        where = f"prepare[{number}] ({table.step})"
        asked = str(getattr(table, "over", None) or getattr(table, "around", None))
        if table.step == "labelled":
            asked = "nonzero"
        if asked in MADE_BY and MADE_BY[asked] not in done:
            yield f"{where} asks for the mask {asked}, needed a step {MADE_BY[asked]} before it"
        if strange := sorted(set(table.inputs) - set(inputs)):
            yield f"{where} names inputs {strange}, needed some of {sorted(inputs)}"
        done.add(table.step)
