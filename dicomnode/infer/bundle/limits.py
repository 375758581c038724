"""`[valid]` and `[plausible]` in model.toml: the range of inputs the model was made for, and of outputs to believe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

from dicomnode.domain.model import CheckSpec, Severity
from dicomnode.infer.bundle.tables import Channel, Count, NotNegative, Number, PositiveRange, Range, Table, Text
from dicomnode.infer.quality.units import known

#: What the table of a limit may say besides the limit itself → the words that it may use.
WORDS = {"otherwise": ("block", "warn"), "unknown": ("block", "warn", "pass")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A limit with what its bundle says of it; None where it says nothing."""

    limit: Any
    otherwise: str | None = None
    unknown: str | None = None


def _judged(value: Any, handler: ValidatorFunctionWrapHandler) -> Judged:
    """Read a bare limit or a table `{ limit = …, otherwise = …, unknown = … }`; faults carry the key of the rule."""
    if not isinstance(value, Mapping):
        return Judged(limit=handler(_tuples(value)))
    strange = sorted(set(value) - {"limit", *WORDS})
    if strange or "limit" not in value:
        raise ValueError(f"write {{ limit = … }} with otherwise and unknown if need be, not {strange or 'no limit'}")
    for key, words in WORDS.items():
        if key in value and value[key] not in words:
            raise ValueError(f"{key} = {value[key]!r} says nothing; write one of {', '.join(words)}")
    return Judged(
        limit=handler(_tuples(value["limit"])), otherwise=value.get("otherwise"), unknown=value.get("unknown")
    )


def _tuples(value: Any) -> Any:
    """Arrays as tuples, which pydantic's strict mode asks of values that passed through a function."""
    if isinstance(value, list):
        return tuple(_tuples(one) for one in value)
    return {key: _tuples(one) for key, one in value.items()} if isinstance(value, dict) else value


Limit = TypeVar("Limit")
#: The limit of a rule, or None where the bundle does not state the rule. Holds a `Judged` after validation.
Stated = Annotated[Limit | None, WrapValidator(_judged)]


def _counted(pair: Any) -> Any:
    if isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(one, int) for one in pair) and pair[0] > pair[1]:
        raise ValueError("write the smaller number first: [lowest, highest]")
    return pair


Tally = Annotated[int, Field(ge=0)]
#: A range of counts, which may be one count alone: [1, 1].
Counts = Annotated[tuple[Tally, Tally], BeforeValidator(_counted)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1)]
Units = Annotated[tuple[Annotated[Text, AfterValidator(known)], ...], Field(min_length=1)]
Share = Annotated[Number, Field(gt=0, le=1)]


class LimitsTable(Table):
    """Keys are rules; a value is the limit, or a table of limit and what a failure does."""

    #: Rules whose failure only warns where the bundle does not say otherwise.
    warns: ClassVar[frozenset[str]] = frozenset()
    #: Rules that let pass, with a remark, what the headers do not tell; all others warn then.
    lenient: ClassVar[frozenset[str]] = frozenset()

    def checks(self, input_name: str = "") -> Iterator[CheckSpec]:
        """The limits that are stated, as domain values."""
        for rule in type(self).model_fields:
            value: Judged | None = getattr(self, rule)
            if value is None or value.limit is None:
                continue
            otherwise = value.otherwise or ("warn" if rule in self.warns else "block")
            unknown = value.unknown or ("pass" if rule in self.lenient else "warn")
            yield CheckSpec(
                rule=rule,
                limit=value.limit,
                severity=Severity(otherwise),
                input=input_name,
                unknown=None if unknown == "pass" else Severity(unknown),
            )


#: Rules about pixels: where there is nothing to measure, as no soft tissue in a phantom of water, nothing is wrong.
PIXEL_MEASURES = frozenset(
    {
        "constant_slices", "clipped_voxels", "grey_levels", "air_fraction", "soft_tissue_fraction", "dense_object_ml",
        "truncated_rim", "noise_hu", "streaks_hu", "ghosts",
    }
)  # fmt: skip


class InputLimits(LimitsTable):
    """The limits of one input; `dicomnode.infer.quality.gate` has a function for every key."""

    warns = frozenset({"companion_coverage"})
    lenient = frozenset({"body_parts", *PIXEL_MEASURES})

    modality: Stated[Texts] = None
    orientations: Stated[tuple[Literal["axial", "coronal", "sagittal", "oblique"], ...]] = None
    minimum_slices: Stated[Count] = None
    maximum_slices: Stated[Count] = None
    slice_spacing_mm: Stated[PositiveRange] = None
    pixel_spacing_mm: Stated[PositiveRange] = None
    rows: Stated[Counts] = None
    columns: Stated[Counts] = None
    field_of_view_mm: Stated[PositiveRange] = None
    coverage_mm: Stated[PositiveRange] = None
    slice_thickness_mm: Stated[PositiveRange] = None
    slice_thickness_variation_mm: Stated[NotNegative] = None
    slice_gap_mm: Stated[Range] = None
    tilt_degrees: Stated[NotNegative] = None
    manufacturers: Stated[Texts] = None
    convolution_kernels: Stated[Texts] = None
    convolution_kernels_denied: Stated[Texts] = None
    kvp: Stated[PositiveRange] = None
    magnetic_field_strength_tesla: Stated[PositiveRange] = None
    lossy_compression_ratio: Stated[Annotated[Number, Field(ge=1)]] = None
    contrast: Stated[Literal["present", "absent"]] = None
    contrast_phases: Stated[tuple[Literal["native", "arterial", "portal_venous", "venous", "delayed"], ...]] = None
    body_parts: Stated[Texts] = None
    patient_age_years: Stated[PositiveRange] = None
    patient_sex: Stated[tuple[Literal["M", "F", "O"], ...]] = None
    units: Stated[Units] = None
    companion_coverage: Stated[Share] = None
    constant_slices: Stated[Range] = None
    clipped_voxels: Stated[Range] = None
    grey_levels: Stated[Range] = None
    air_fraction: Stated[Range] = None
    soft_tissue_fraction: Stated[Range] = None
    dense_object_ml: Stated[Range] = None
    truncated_rim: Stated[Range] = None
    noise_hu: Stated[Range] = None
    streaks_hu: Stated[Range] = None
    ghosts: Stated[Range] = None


def _subtable(value: Any) -> Any:
    """A key that is no rule may only be the name of an input, with a table of its limits."""
    if not isinstance(value, Mapping) or "limit" in value:
        raise PydanticCustomError("extra_forbidden", "Extra inputs are not permitted")
    return _tuples(value)


class ValidTable(InputLimits):
    """`[valid]`: the limits of the first input, and a subtable for every input that has its own."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[InputLimits, BeforeValidator(_subtable)]] = Field(init=False)

    def checks(self, input_name: str = "") -> Iterator[CheckSpec]:
        """The limits of all inputs; those of the first, if it is not named, have no name."""
        yield from super().checks(input_name)
        for name, limits in self.inputs().items():
            yield from limits.checks(name)

    def inputs(self) -> Mapping[str, InputLimits]:
        """The subtables by the name of their input."""
        return self.__pydantic_extra__ or {}


class SegmentRange(Table):
    """A range of numbers for one segment."""

    segment: Count
    range: PositiveRange


class SegmentCounts(Table):
    """A range of counts for one segment."""

    segment: Count
    range: Counts


class SegmentSide(Table):
    """The side of the body on which a segment lies."""

    segment: Count
    side: Literal["right", "left"]


class SegmentInside(Table):
    """The share of a segment that lies in the box round another."""

    segment: Count
    of: Count
    share: Share = 0.9


class PlausibleTable(LimitsTable):
    """`[plausible]`: what a believable output is; `dicomnode.infer.quality.plausible` has a function for every key.

    A wrong side means that orientation was misread, and blocks. What is merely unusual warns.
    """

    warns = frozenset({"volume_ml", "pieces", "length_mm", "inside", "present", "whole", "detections", "score_range"})

    right_of: Stated[tuple[tuple[Count, Count], ...]] = None
    side: Stated[tuple[SegmentSide, ...]] = None
    volume_ml: Stated[tuple[SegmentRange, ...]] = None
    pieces: Stated[tuple[SegmentCounts, ...]] = None
    length_mm: Stated[tuple[SegmentRange, ...]] = None
    inside: Stated[tuple[SegmentInside, ...]] = None
    present: Stated[tuple[Count, ...]] = None
    whole: Stated[tuple[Count, ...]] = None
    detections: Stated[Counts] = None
    score_range: Stated[tuple[Channel, ...]] = None


def strangers(valid: ValidTable, plausible: PlausibleTable, inputs: Sequence[str], segments: int) -> Iterator[str]:
    """What the limits name and the bundle does not have: inputs, and segments, which count from 1 to `segments`."""
    for name in valid.inputs():
        if name not in inputs:
            yield f"[valid.{name}] names an input, needed one of {', '.join(inputs)}"
    for check in valid.checks():
        if check.rule == "companion_coverage" and check.input in {"", *inputs[:1]}:
            yield "companion_coverage is stated for the first input, needed for another, which has to cover it"
    for check in plausible.checks():
        if check.rule in {"right_of", "inside"}:
            for pair in map(_pair, check.limit):
                if pair[0] == pair[1] or max(pair) > segments:
                    yield f"{check.rule} names the pair {pair}, needed two different segments that exist"
        elif check.rule not in {"detections", "score_range"}:
            for one in check.limit:
                number = one if isinstance(one, int) else one.segment
                if number > segments:
                    yield f"{check.rule} names segment {number}, needed 1 to {segments}"


def _pair(one: Any) -> list[int]:
    return [one.segment, one.of] if isinstance(one, SegmentInside) else list(one)
