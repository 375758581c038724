"""What the outputs of a network mean: segments, classes and scores, each with its codes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dicomnode.domain.model import ClassLabel, ScoreSpec, Segment, Subject
from dicomnode.infer.bundle.tables import Channel, CodeTable, Long, Range, Table


class SegmentTable(Table):
    """`[[segment]]`: one label of a mask or of boxes. Its codes are required: nothing uncoded leaves the node.

    `derived` ones are no channel of the network but made by a step after it.
    """

    number: Annotated[int, Field(ge=1, le=255)]
    label: Long
    category: CodeTable
    type: CodeTable
    laterality: CodeTable | None = None
    anatomic_region: CodeTable | None = None
    color_rgb: tuple[Channel, Channel, Channel] = (255, 80, 80)
    radiomics: bool = False
    derived: bool = False
    subject: Literal["structure", "lesion", "lymph_node"] = "structure"
    urgent: bool = False

    def segment(self) -> Segment:
        """The same as a domain value."""
        return Segment(
            number=self.number,
            label=self.label,
            category=self.category.code(),
            type=self.type.code(),
            laterality=self.laterality.code() if self.laterality else None,
            anatomic_region=self.anatomic_region.code() if self.anatomic_region else None,
            color_rgb=self.color_rgb,
            radiomics=self.radiomics,
            subject=Subject(self.subject),
            urgent=self.urgent,
        )


class ClassTable(Table):
    """`[[class]]`: one answer of a classifier; its number is the channel of the output, from 0."""

    number: Annotated[int, Field(ge=0, le=255)]
    label: Long
    code: CodeTable
    urgent: bool = False

    def label_of(self) -> ClassLabel:
        """The same as a domain value."""
        return ClassLabel(number=self.number, label=self.label, code=self.code.code(), urgent=self.urgent)


class ScoreTable(Table):
    """`[[score]]`: one number of the output; its number is the channel, from 0."""

    number: Annotated[int, Field(ge=0, le=255)]
    name: CodeTable
    unit: CodeTable
    range: Range | None = None
    urgent_at_least: float | None = None

    def spec(self) -> ScoreSpec:
        """The same as a domain value."""
        return ScoreSpec(
            number=self.number, name=self.name.code(), unit=self.unit.code(), range=self.range,
            urgent_at_least=self.urgent_at_least,
        )  # fmt: skip
