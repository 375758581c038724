"""`[tile]`, `[output]` and `[[post]]` in model.toml: how the network is run and what is made of its answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dicomnode.domain.model import Step
from dicomnode.infer.bundle.tables import Count, Number, Table


class TileTable(Table):
    """`[tile]`: the sliding window."""

    shape: tuple[Count, Count, Count]
    overlap: Annotated[Number, Field(ge=0, lt=1)]
    batch: Count


class OutputTable(Table):
    """`[output]`: how the network's numbers become probabilities."""

    activation: Literal["softmax", "sigmoid"]


class PostTable(Table):
    """One step after the network; `segments` are the labels that it treats, all when empty."""

    step: str
    segments: tuple[Count, ...] = ()

    def as_step(self) -> Step:
        """The same as a domain value."""
        return Step(name=self.step, options=self.model_dump(exclude={"step"}))


class KeepLargestTable(PostTable):
    """Keep the largest piece of every segment."""

    step: Literal["keep_largest"]


class FillHolesTable(PostTable):
    """Fill what a segment encloses."""

    step: Literal["fill_holes"]


AnyPost = Annotated[KeepLargestTable | FillHolesTable, Field(discriminator="step")]
