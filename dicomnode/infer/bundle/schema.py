"""The shape of model.toml as pydantic models, and its faults in the words of this node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from dicomnode.domain.errors import Fault
from dicomnode.domain.model import Weights
from dicomnode.infer.bundle.after import CascadeTable, NetworkTable, OutputTable, TileTable
from dicomnode.infer.bundle.agree import contradictions
from dicomnode.infer.bundle.before import AnyPrepare
from dicomnode.infer.bundle.features import feature
from dicomnode.infer.bundle.labels import ClassTable, ScoreTable, SegmentTable
from dicomnode.infer.bundle.limits import PlausibleTable, ValidTable, strangers
from dicomnode.infer.bundle.measure import ContoursTable, MeasureTable
from dicomnode.infer.bundle.post import AnyPost
from dicomnode.infer.bundle.radiomics import HarmonisationTable, RadiomicsTable, Sha256
from dicomnode.infer.bundle.signature import SignatureTable
from dicomnode.infer.bundle.tables import Long, Table, Text

#: How a bundle may be called.
NAME = r"^[a-z0-9][a-z0-9-]*$"
OnnxName = Annotated[str, Field(pattern=r"^[^/\\]+\.onnx$")]


class FoldTable(Table):
    """`[[model.fold]]`: one network of an ensemble."""

    onnx: OnnxName
    sha256: Sha256


class ModelTable(Table):
    """`[model]`: what it is called, who made it, where its weights are, what else it needs to know."""

    name: Annotated[str, Field(pattern=NAME)]
    version: Text
    title: Long
    status: Literal["demo", "research", "accepted"]
    task: Literal["segment", "detect", "classify", "score", "measure"]
    manufacturer: Long
    licence: Text
    onnx: OnnxName | None = None
    sha256: Sha256 | None = None
    fold: tuple[FoldTable, ...] = ()
    features: tuple[Annotated[str, AfterValidator(feature)], ...] = ()
    sensitivity: str = ""

    @model_validator(mode="after")
    def _one_or_more_networks(self) -> Self:
        if self.fold and (self.onnx or self.sha256):
            raise ValueError("onnx and sha256 stand beside [[model.fold]], needed one of both")
        if self.task == "measure" and (self.fold or self.onnx or self.sha256):
            raise ValueError("task measure with onnx, sha256 or fold, needed none: no network runs")
        if self.task != "measure" and not self.fold and not (self.onnx and self.sha256):
            raise ValueError("onnx and sha256 are missing, needed both (or [[model.fold]] for an ensemble)")
        return self

    @model_validator(mode="after")
    def _each_feature_once(self) -> Self:
        if twice := sorted(name for name in {*self.features} if self.features.count(name) > 1):
            raise ValueError(f"features names {' and '.join(twice)} twice, needed each once")
        return self

    def weights(self) -> tuple[Weights, ...]:
        """The networks as domain values; none where the task runs none."""
        folds = tuple(Weights(onnx=fold.onnx, sha256=fold.sha256) for fold in self.fold)
        return (Weights(onnx=self.onnx, sha256=self.sha256),) if self.onnx and self.sha256 else folds


class Contradictions(ValueError):
    """What cannot hold at the same time, each in words with what is needed."""

    def __init__(self, said: Sequence[str]) -> None:
        self.said = tuple(said)
        super().__init__("; ".join(said))


class Bundle(Table):
    """All of model.toml; `input` is read by `dicomnode.domain.condition`."""

    model: ModelTable
    input: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    prepare: tuple[AnyPrepare, ...] = ()
    tile: TileTable | None = None
    network: NetworkTable = NetworkTable()
    output: OutputTable | None = None
    cascade: CascadeTable | None = None
    post: tuple[AnyPost, ...] = ()
    valid: ValidTable = ValidTable()
    plausible: PlausibleTable = PlausibleTable()
    segment: tuple[SegmentTable, ...] = ()
    class_: Annotated[tuple[ClassTable, ...], Field(alias="class")] = ()
    score: tuple[ScoreTable, ...] = ()
    contours: ContoursTable | None = None
    measure: MeasureTable = MeasureTable()
    radiomics: RadiomicsTable = RadiomicsTable()
    harmonisation: HarmonisationTable | None = None
    signature: SignatureTable | None = None

    @model_validator(mode="after")
    def _agreeing(self) -> Self:
        said = [
            *contradictions(self),
            *strangers(self.valid, self.plausible, tuple(self.input), len(self.segment)),
        ]
        if said:
            raise Contradictions(said)
        return self


#: Tables whose rows are told apart by their key `step`.
STEPS = ("prepare", "post")


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
        path = _with_step(detail)
        reason = detail.get("ctx", {}).get("error")
        for remedy in reason.said if isinstance(reason, Contradictions) else [_remedy(detail, path)]:
            yield Fault(key=f"{where}: {_key(path)}", value=_value(detail), remedy=remedy)


def _with_step(detail: ErrorDetails) -> tuple[int | str, ...]:
    """The path of a fault; what is wrong with the name of a step lies at its key `step`."""
    unnamed = detail["type"] in ("union_tag_invalid", "union_tag_not_found")
    return (*detail["loc"], "step") if unnamed else detail["loc"]


def _key(path: tuple[int | str, ...]) -> str:
    key = ""
    for place, part in enumerate(path):
        # After the number of a step pydantic puts its name, which model.toml has not as a key.
        if path[0] in STEPS and place == 2 and part != "step":
            continue
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    return key or "the file as a whole"


def _value(detail: ErrorDetails) -> object:
    if detail["type"] == "union_tag_invalid":
        return detail["ctx"]["tag"]
    # What misses a key, or contradicts itself, is a whole table: repeating it would drown the remedy.
    return "" if detail["type"] == "missing" or isinstance(detail["input"], Mapping) else detail["input"]


def _remedy(detail: ErrorDetails, path: tuple[int | str, ...]) -> str:
    match detail["type"]:
        case "missing":
            return "missing; every bundle has to state it"
        case "union_tag_not_found":
            return "missing; every step has to say what it does"
        case "union_tag_invalid":
            known = [name.strip("'") for name in detail["ctx"]["expected_tags"].split(", ")]
            close = get_close_matches(detail["ctx"]["tag"], known, n=1, cutoff=0.6)
            return "no such step; " + (f"did you mean {close[0]}?" if close else f"write one of {', '.join(known)}")
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
        step = path[2] if part in STEPS and len(path) > 2 else None
        inner = _table_in(table.model_fields[part].annotation, step)
        if inner is None:
            return []
        table = inner
    return list(table.model_fields)


def _table_in(annotation: Any, step: int | str | None) -> type[BaseModel] | None:
    """The first table that an annotation names, or the one whose step is of this name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        tag = annotation.model_fields.get("step")
        return annotation if step is None or (tag and step in get_args(tag.annotation)) else None
    if get_origin(annotation) in {tuple, Union, UnionType, Annotated}:
        return next((found for part in get_args(annotation) if (found := _table_in(part, step))), None)
    return None
