"""The shape of model.toml as pydantic models, and its faults in the words of this node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from dicomnode.domain.code import Code
from dicomnode.domain.errors import Fault

#: Coding schemes that PS3.16 section 8 retired in favour of SCT.
RETIRED_SCHEMES = frozenset({"SRT", "SNM3", "99SDM"})


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if not pair[0] < pair[1]:
        raise ValueError("write the smaller number first: [lowest, highest]")
    return pair


def _current(scheme: str) -> str:
    if scheme in RETIRED_SCHEMES:
        raise ValueError(f"{scheme} is retired (PS3.16 section 8); write the SNOMED CT code with scheme SCT")
    return scheme


Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Channel = Annotated[int, Field(ge=0, le=255)]
Text = Annotated[str, Field(min_length=1)]
#: VR LO and SH hold 64 and 16 characters (PS3.5 Table 6.2-1).
Long = Annotated[str, Field(min_length=1, max_length=64)]
Short = Annotated[str, Field(min_length=1, max_length=16)]
Range = Annotated[tuple[Number, Number], AfterValidator(_ordered)]
PositiveRange = Annotated[tuple[NotNegative, NotNegative], AfterValidator(_ordered)]


class Table(BaseModel):
    """A table that knows all its keys and converts nothing."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CodeTable(Table):
    """A coded concept (PS3.3 section 8)."""

    value: Short
    scheme: Annotated[Short, AfterValidator(_current)]
    meaning: Long

    def code(self) -> Code:
        """The same as a domain value."""
        return Code(value=self.value, scheme=self.scheme, meaning=self.meaning)


class ModelTable(Table):
    """`[model]`: what it is called, who made it, where its weights are."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    version: Text
    title: Long
    status: Literal["demo", "research", "accepted"]
    task: Literal["segment"]
    manufacturer: Long
    licence: Text
    onnx: Annotated[str, Field(pattern=r"^[^/\\]+\.onnx$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PrepareTable(Table):
    """`[prepare]`: from source volume to network input."""

    spacing_mm: tuple[Positive, Positive, Positive]
    outside: Number
    clip: Range


class TileTable(Table):
    """`[tile]`: the sliding window."""

    shape: tuple[Count, Count, Count]
    overlap: Annotated[Number, Field(ge=0, lt=1)]
    batch: Count


class OutputTable(Table):
    """`[output]`: how logits become probabilities."""

    activation: Literal["softmax", "sigmoid"]


class ValidTable(Table):
    """`[valid]`: the inputs for which the model was made."""

    slice_spacing_mm: PositiveRange | None = None
    pixel_spacing_mm: PositiveRange | None = None
    minimum_slices: Count = 1
    orientations: tuple[Literal["axial", "coronal", "sagittal", "oblique"], ...] = ()


class PlausibleTable(Table):
    """`[plausible]`: relations that a believable output keeps."""

    right_of: tuple[tuple[Count, Count], ...] = ()


class SegmentTable(Table):
    """`[[segment]]`: one label of the output. Its codes are required: nothing uncoded leaves the node."""

    number: Annotated[int, Field(ge=1, le=255)]
    label: Long
    category: CodeTable
    type: CodeTable
    laterality: CodeTable | None = None
    anatomic_region: CodeTable | None = None
    color_rgb: tuple[Channel, Channel, Channel] = (255, 80, 80)
    keep_largest: bool = False
    fill_holes: bool = False
    radiomics: bool = False
    volume_ml: PositiveRange | None = None


class Bundle(Table):
    """All of model.toml; `input` is read by `dicomnode.domain.condition`."""

    model: ModelTable
    input: Annotated[dict[str, dict[str, Any]], Field(min_length=1, max_length=1)]
    prepare: PrepareTable
    tile: TileTable
    output: OutputTable
    valid: ValidTable = ValidTable()
    plausible: PlausibleTable = PlausibleTable()
    segment: Annotated[tuple[SegmentTable, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        numbers = sorted(segment.number for segment in self.segment)
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(
                f"segments are numbered {numbers}, needed 1 to {len(numbers)} without gaps or repetition: "
                "a number is a channel of the output (PS3.3 C.8.20.4 asks the same of a binary SEG)"
            )
        for right, left in self.plausible.right_of:
            if right == left or max(right, left) > len(numbers):
                raise ValueError(f"right_of names the pair {[right, left]}, needed two different segments that exist")
        return self


def faults(error: ValidationError, where: str) -> Iterator[Fault]:
    """The faults of one model.toml, each with its key and what to do about it.

    Parameters
    ----------
    error
        What pydantic found.
    where
        What to put before every key: the bundle and its file.
    """
    for detail in error.errors(include_url=False):
        path = detail["loc"]
        yield Fault(key=f"{where}: {_key(path)}", value=_value(detail), remedy=_remedy(detail, path))


def _key(path: tuple[int | str, ...]) -> str:
    key = ""
    for part in path:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    return key or "the file as a whole"


def _value(detail: ErrorDetails) -> object:
    # What misses a key, or contradicts itself, is a whole table: repeating it would drown the remedy.
    return "" if detail["type"] == "missing" or isinstance(detail["input"], Mapping) else detail["input"]


def _remedy(detail: ErrorDetails, path: tuple[int | str, ...]) -> str:
    match detail["type"]:
        case "missing":
            return "missing; every bundle has to state it"
        case "extra_forbidden":
            name = str(path[-1])
            close = get_close_matches(name, _keys_at(path[:-1]), n=1, cutoff=0.6)
            return "no such key" + (f"; did you mean {close[0]}?" if close else "")
        case "literal_error":
            return f"write {detail['ctx']['expected']}"
        case "value_error":
            return str(detail["ctx"]["error"])
        case _:
            return detail["msg"][0].lower() + detail["msg"][1:]


def _keys_at(path: tuple[int | str, ...]) -> list[str]:
    """Keys that the table at `path` may hold."""
    table: type[BaseModel] = Bundle
    for part in path:
        if isinstance(part, int) or part not in table.model_fields:
            continue
        inner = _table_in(table.model_fields[part].annotation)
        if inner is None:
            return []
        table = inner
    return list(table.model_fields)


def _table_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {tuple, Union, UnionType, Annotated}:
        return next((found for part in get_args(annotation) if (found := _table_in(part))), None)
    return None
