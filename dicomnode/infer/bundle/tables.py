"""Types of single values in model.toml: numbers, ranges, texts that fit their DICOM attributes, and codes."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dicomnode.domain.code import Code

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
