"""What a model bundle declares: inputs, preparation, network, steps after it, labels and the range it was made for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dicomnode.domain.code import Code
from dicomnode.domain.measuring import MeasureSpec, RadiomicsSpec
from dicomnode.domain.rule import Condition
from dicomnode.domain.signature import SignatureSpec


class ModelStatus(StrEnum):
    """How far a model is trusted; a demo cannot be accepted, so that no clinical rule runs it."""

    DEMO = "demo"
    RESEARCH = "research"
    ACCEPTED = "accepted"


class Task(StrEnum):
    """What a model answers: a mask, boxes with scores, one class of several, or numbers.

    `MEASURE` runs no network: it measures what somebody else has drawn.
    """

    SEGMENT = "segment"
    DETECT = "detect"
    CLASSIFY = "classify"
    SCORE = "score"
    MEASURE = "measure"


class Subject(StrEnum):
    """What a segment is to whoever measures it: tumour boards want diameters of lesions, nobody those of a lung."""

    STRUCTURE = "structure"
    LESION = "lesion"
    LYMPH_NODE = "lymph_node"


class Severity(StrEnum):
    """What a failed check does: it stops the analysis, or it stands in the report as a warning."""

    BLOCK = "block"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """Which series may feed one input of the network; the first input is the one whose grid results lie on."""

    name: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One declared step before or after the network.

    Attributes
    ----------
    name
        As model.toml writes it; the room `infer` maps names to functions.
    options
        Its settings, checked and completed with defaults by the bundle's schema.
    inputs
        Names of the inputs that it treats; all when empty. Steps after the network have none.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One network file inside the bundle's folder, and the SHA-256 that its bytes must have."""

    onnx: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSpec:
    """Sliding window over the prepared volume.

    Attributes
    ----------
    shape
        In voxels along (slice, row, column). One slice and a network of four axes (batch, channel, row, column) make
        a two-dimensional model.
    overlap
        Least overlap of neighbours as a fraction of the tile.
    batch
        Tiles at a time; 0 leaves it to the free memory of the device.
    neighbours
        Slices on either side that come as further channels (2.5D); needs one slice per tile.
    mirror
        Axes (0 slice, 1 row, 2 column) along which every combination of mirrored tiles is averaged.
    skip_below
        Tiles without a prepared value above this, in the first channel, hold no body and are not run.
    manner
        `plain`; `nnunet`: what is missing to a tile lies on both sides, and weights peak at its voxel size // 2; or
        `monai`: missing likewise, tiles start at multiples of a step but for the last, and no weight is below 0.001.
    weights
        `gaussian`, or `even`: voxels of a tile count the less the farther from its middle they are, or all alike.
    """

    shape: tuple[int, int, int]
    overlap: float
    batch: int
    neighbours: int = 0
    mirror: tuple[int, ...] = ()
    skip_below: float | None = None
    manner: str = "plain"
    weights: str = "gaussian"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """How a network is spoken to and its answer is read.

    Attributes
    ----------
    input, output, boxes, scores, features
        Names of the network's values.
    labels
        How many segments are channels of its output; those behind are made by steps after it. None: all.
    aggregate
        How a classifier or a scorer sums up its tiles: `mean` or `max`.
    score_at_least
        Boxes of a lower score are dropped.
    iou
        Of two boxes of one label that overlap more (intersection over union), the one of the lower score is dropped.
    blend
        What is averaged over tiles, mirrors and folds and interpolated on the way back: `probabilities` or `logits`.
    back
        What is interpolated on the way back: `blended`, or `probabilities` of blended logits.
    apart_above, apart
        Where a spacing differs between axes by more than this, its coarsest axis is interpolated on its own on the way
        back, by `apart` (`nearest` or `linear`). None: never.
    """

    input: str = "image"
    output: str = "logits"
    boxes: str = "boxes"
    scores: str = "scores"
    features: str = "features"
    labels: int | None = None
    aggregate: str = "mean"
    score_at_least: float = 0.5
    iou: float = 0.3
    blend: str = "probabilities"
    back: str = "blended"
    apart_above: float | None = None
    apart: str = "nearest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One label of the output with its codes and what is plausible for it.

    Boxes of a detector bear such labels, too. To find an `urgent` one is told at once to who asks for that.
    """

    number: int
    label: str
    category: Code
    type: Code
    laterality: Code | None = None
    anatomic_region: Code | None = None
    color_rgb: tuple[int, int, int] = (255, 80, 80)
    radiomics: bool = False
    subject: Subject = Subject.STRUCTURE
    urgent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLabel:
    """One answer of a classifier: the channel that stands for it, its name, its code, and whether it is urgent."""

    number: int
    label: str
    code: Code
    urgent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSpec:
    """One number that a model gives: concept, UCUM unit, range in which it is believed, and from where on urgent."""

    number: int
    name: Code
    unit: Code
    range: tuple[float, float] | None = None
    urgent_at_least: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSpec:
    """One limit of `[valid]` or `[plausible]`: the rule's name, its limit, and what a failure does.

    `unknown` says what happens where the headers do not tell; None lets it pass with a remark.
    """

    rule: str
    limit: Any
    severity: Severity = Severity.BLOCK
    input: str = ""
    unknown: Severity | None = Severity.WARN


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """A coarse model whose labels say where the fine one looks, or are part of what it sees.

    Attributes
    ----------
    model
        The coarse model, a bundle in a folder inside this one's.
    segments
        Numbers of its segments that count; all when empty.
    margin_mm
        What is added on every side of their bounding box.
    channels
        Numbers of its segments that come to the fine network behind the inputs, each as a channel of 0 and 1; number 0
        stands for a channel that stays empty. The fine model then looks everywhere. None: no channels, but a place.
    """

    model: ModelSpec
    segments: tuple[int, ...]
    margin_mm: float
    channels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One bundle `models/<name>/` as its `model.toml` describes it.

    Attributes
    ----------
    folder
        Where the bundle lies.
    weights
        The networks of an ensemble, one for a single network, whose probabilities are averaged.
    recipe
        SHA-256 over model.toml and the declared hashes: changes whenever the model does.
    inputs
        In the order of the network's channels.
    prepare, post
        Steps before and after the network, in order.
    activation
        How the network's numbers become probabilities: `softmax`, `sigmoid` or `none`.
    valid, plausible
        Limits for the input and for the output.
    segments, classes, scores
        What the task's output means; those of other tasks are empty.
    question
        The concept that a classifier answers.
    sensitivity
        Measured sensitivity in words with its data, printed where nothing was found; empty when unknown.
    contours
        Name of the input that holds what somebody has drawn, never the first; empty where a network finds the regions.
    signature
        What a score is computed from, where that is features and not images. The regions come from the coarse model
        of `cascade` or from `contours`.
    """

    name: str
    version: str
    title: str
    status: ModelStatus
    task: Task
    manufacturer: str
    licence: str
    folder: Path
    weights: tuple[Weights, ...]
    recipe: str
    inputs: tuple[InputSpec, ...]
    prepare: tuple[Step, ...]
    tile: TileSpec
    activation: str
    post: tuple[Step, ...] = ()
    valid: tuple[CheckSpec, ...] = ()
    plausible: tuple[CheckSpec, ...] = ()
    segments: tuple[Segment, ...] = field(default=(), repr=False)
    classes: tuple[ClassLabel, ...] = field(default=(), repr=False)
    scores: tuple[ScoreSpec, ...] = field(default=(), repr=False)
    question: Code | None = None
    features: tuple[str, ...] = ()
    cascade: Cascade | None = None
    network: NetworkSpec = NetworkSpec()
    sensitivity: str = ""
    measure: MeasureSpec = field(default_factory=MeasureSpec)
    radiomics: RadiomicsSpec = field(default_factory=RadiomicsSpec)
    contours: str = ""
    signature: SignatureSpec | None = None

    @property
    def images(self) -> tuple[InputSpec, ...]:
        """The inputs that are image series: all but the contours."""
        return tuple(one for one in self.inputs if one.name != self.contours)

    @property
    def input(self) -> InputSpec:
        """The input on whose grid results lie."""
        return self.inputs[0]

    def limit(self, rule: str, default: Any = None) -> Any:
        """The limit that `[valid]` states for a rule, or `default`."""
        return next((check.limit for check in self.valid if check.rule == rule), default)

    @property
    def channels(self) -> int:
        """Channels of the network's input: every input, with its neighbouring slices, and labels of a coarse model."""
        return len(self.inputs) * (1 + 2 * self.tile.neighbours) + len(self.labelled)

    @property
    def labelled(self) -> tuple[int, ...]:
        """Segments of the coarse model that are channels of the network's input."""
        return self.cascade.channels if self.cascade is not None else ()


def unavailable(name: str) -> ModelSpec:
    """Stands for a bundle that cannot be used, in the report that says so."""
    return ModelSpec(
        name=name,
        version="unavailable",
        title=name,
        status=ModelStatus.DEMO,
        task=Task.SEGMENT,
        manufacturer="unknown",
        licence="",
        folder=Path(),
        weights=(),
        recipe="",
        inputs=(InputSpec(name="", conditions=()),),
        prepare=(),
        tile=TileSpec(shape=(1, 1, 1), overlap=0.0, batch=1),
        activation="softmax",
    )
