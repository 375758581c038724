"""What a model bundle declares: inputs, preparation, tiles, segments and the range it was made for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from dicomnode.domain.code import Code
from dicomnode.domain.rule import Condition


class ModelStatus(StrEnum):
    """How far a model is trusted; a demo model runs only where a rule names it."""

    DEMO = "demo"
    RESEARCH = "research"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """Which series may feed one input of the network."""

    name: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareSpec:
    """From source volume to network input; lengths in mm along (slice, row, column), intensities in source units."""

    spacing_mm: tuple[float, float, float]
    outside: float
    clip: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSpec:
    """Sliding window over the prepared volume; shape in voxels along (slice, row, column), overlap as a fraction."""

    shape: tuple[int, int, int]
    overlap: float
    batch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One label of the output with its codes, post-processing and what is plausible for it."""

    number: int
    label: str
    category: Code
    type: Code
    laterality: Code | None = None
    anatomic_region: Code | None = None
    color_rgb: tuple[int, int, int] = (255, 80, 80)
    keep_largest: bool = False
    fill_holes: bool = False
    radiomics: bool = False
    volume_ml: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidRange:
    """The inputs for which the model was made; anything outside is refused or carries a warning."""

    slice_spacing_mm: tuple[float, float] | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    minimum_slices: int = 1
    orientations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One bundle `models/<name>/` as its `model.toml` describes it.

    Attributes
    ----------
    folder
        Where the bundle lies.
    onnx
        File name of the network inside `folder`; `sha256` is what its bytes must hash to.
    recipe
        SHA-256 over model.toml and the declared hash: changes whenever the model does.
    right_of
        Pairs (a, b): segment a must lie at smaller x (LPS) than segment b, or the output is not believed.
    """

    name: str
    version: str
    title: str
    status: ModelStatus
    task: str
    manufacturer: str
    licence: str
    folder: Path
    onnx: str
    sha256: str
    recipe: str
    input: InputSpec
    prepare: PrepareSpec
    tile: TileSpec
    activation: str
    valid: ValidRange
    right_of: tuple[tuple[int, int], ...]
    segments: tuple[Segment, ...] = field(repr=False)

    @property
    def onnx_path(self) -> Path:
        """The network's file."""
        return self.folder / self.onnx


def unavailable(name: str) -> ModelSpec:
    """Stands for a bundle that cannot be used, in the report that says so."""
    nowhere = Path()
    return ModelSpec(
        name=name,
        version="unavailable",
        title=name,
        status=ModelStatus.DEMO,
        task="segment",
        manufacturer="unknown",
        licence="",
        folder=nowhere,
        onnx="",
        sha256="",
        recipe="",
        input=InputSpec(name="", conditions=()),
        prepare=PrepareSpec(spacing_mm=(1.0, 1.0, 1.0), outside=0.0, clip=(0.0, 1.0)),
        tile=TileSpec(shape=(1, 1, 1), overlap=0.0, batch=1),
        activation="softmax",
        valid=ValidRange(),
        right_of=(),
        segments=(),
    )
