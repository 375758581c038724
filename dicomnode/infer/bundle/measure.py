"""`[measure]` and `[contours]` in model.toml: what is measured of lesions, and where drawn ones come from."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dicomnode.domain.measuring import MeasureSpec, PartSpec
from dicomnode.infer.bundle.tables import CodeTable, Count, Long, NotNegative, Number, Positive, Range, Table, Text

_DEFAULT = MeasureSpec()


class PartTable(Table):
    """`[[measure.part]]`: a part of every lesion that its intensity tells."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    label: Long
    type: CodeTable
    range: Range
    minimum_volume_ml: NotNegative = 0.0

    def spec(self) -> PartSpec:
        """The same as a domain value."""
        return PartSpec(
            name=self.name,
            label=self.label,
            type=self.type.code(),
            range=self.range,
            minimum_volume_ml=self.minimum_volume_ml,
        )


class MeasureTable(Table):
    """`[measure]`: what is measured beside volume and intensity."""

    lungs: tuple[Count, ...] = ()
    part: tuple[PartTable, ...] = ()
    criteria: tuple[Literal["recist", "who", "rano", "volume"], ...] = ()
    volume_response: tuple[Annotated[Number, Field(ge=-100, lt=0)], Positive] = _DEFAULT.volume_response
    targets: tuple[Count, Count] = _DEFAULT.targets

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for key, names in (("part", [part.name for part in self.part]), ("criteria", [*self.criteria])):
            if len({*names}) != len(names):
                raise ValueError(f"{key} names one twice in {names}, needed each once")
        if self.targets[0] > self.targets[1]:
            raise ValueError(
                f"targets = {[*self.targets]}, needed [per organ, in all] with no more per organ than in all"
            )
        return self

    def spec(self) -> MeasureSpec:
        """The same as a domain value."""
        return MeasureSpec(
            lungs=self.lungs,
            parts=tuple(part.spec() for part in self.part),
            criteria=self.criteria,
            volume_response=self.volume_response,
            targets=self.targets,
        )


class ContoursTable(Table):
    """`[contours]`: the input that holds what somebody has drawn, as SEG or RTSTRUCT."""

    input: Text
