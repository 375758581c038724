"""`[tile]`, `[network]`, `[output]` and `[cascade]` in model.toml: how the network is run and its answer is read."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from dicomnode.domain.model import TileSpec
from dicomnode.infer.bundle.tables import CodeTable, Count, NotNegative, Number, Positive, Table, Text


def _or_auto(value: Any, count: ValidatorFunctionWrapHandler) -> Any:
    return 0 if value == "auto" else count(value)


Axis = Annotated[int, Field(ge=0, le=2)]
Share = Annotated[Number, Field(ge=0, lt=1)]


class TileTable(Table):
    """`[tile]`: the sliding window; `batch = "auto"` fills the device."""

    shape: tuple[Count, Count, Count]
    overlap: Share
    batch: Annotated[Count, WrapValidator(_or_auto)]
    neighbours: Annotated[int, Field(ge=0)] = 0
    mirror: tuple[Axis, ...] = ()
    skip_below: Number | None = None
    manner: Literal["plain", "nnunet", "monai"] = "plain"
    weights: Literal["gaussian", "even"] = "gaussian"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.neighbours and self.shape[0] != 1:
            raise ValueError(f"neighbours with tiles of {self.shape[0]} slices, needed one slice per tile")
        if len(set(self.mirror)) != len(self.mirror):
            raise ValueError(f"mirror names an axis twice in {list(self.mirror)}, needed each once")
        if 0 in self.mirror and self.shape[0] == 1:
            raise ValueError("mirror names axis 0 (slice) with tiles of one slice, needed 1 (row) or 2 (column)")
        return self

    def spec(self) -> TileSpec:
        """The same as a domain value."""
        return TileSpec(**self.model_dump())


class NetworkTable(Table):
    """`[network]`: what the network calls its values, where it is not the usual."""

    input: Text = "image"
    output: Text = "logits"
    boxes: Text = "boxes"
    scores: Text = "scores"
    features: Text = "features"


class OutputTable(Table):
    """`[output]`: how the network's numbers become probabilities, and probabilities an answer."""

    activation: Literal["softmax", "sigmoid", "none"]
    aggregate: Literal["mean", "max"] = "mean"
    score_at_least: Annotated[Number, Field(ge=0, le=1)] = 0.5
    iou: Annotated[Number, Field(gt=0, le=1)] = 0.3
    blend: Literal["probabilities", "logits"] = "probabilities"
    back: Literal["blended", "probabilities"] = "blended"
    apart_above: Positive | None = None
    apart: Literal["nearest", "linear"] = "nearest"
    question: CodeTable | None = None


class CascadeTable(Table):
    """`[cascade]`: the coarse model, in a folder inside this one's, that says where to look, or feeds this one."""

    folder: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    margin_mm: NotNegative | None = None
    segments: tuple[Count, ...] = ()
    channels: tuple[Annotated[int, Field(ge=0)], ...] = ()
