"""`[[prepare]]` in model.toml: the steps before the network, each with its settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dicomnode.domain.model import Step
from dicomnode.infer.bundle.tables import Number, Positive, Range, Table


class PrepareTable(Table):
    """One step; `inputs` names those that it treats, all when empty."""

    step: str
    inputs: tuple[str, ...] = ()

    def as_step(self) -> Step:
        """The same as a domain value."""
        return Step(name=self.step, options=self.model_dump(exclude={"step", "inputs"}), inputs=self.inputs)


class ResampleTable(PrepareTable):
    """Another grid: along the patient axes, with this spacing along (slice, row, column)."""

    step: Literal["resample"]
    spacing_mm: tuple[Positive, Positive, Positive]
    outside: Number


class ClipTable(PrepareTable):
    """Limit the values."""

    step: Literal["clip"]
    range: Range


class ScaleTable(PrepareTable):
    """Map a range linearly to 0..1."""

    step: Literal["scale"]
    range: Range


AnyPrepare = Annotated[ResampleTable | ClipTable | ScaleTable, Field(discriminator="step")]
