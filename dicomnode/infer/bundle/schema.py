"""The shape of model.toml as pydantic models, and its faults in the words of this node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from dicomnode.domain.errors import Fault
from dicomnode.infer.bundle.after import AnyPost, OutputTable, TileTable
from dicomnode.infer.bundle.before import AnyPrepare
from dicomnode.infer.bundle.labels import ClassTable, ScoreTable, SegmentTable
from dicomnode.infer.bundle.limits import PlausibleTable, ValidTable
from dicomnode.infer.bundle.tables import Long, Table, Text


class ModelTable(Table):
    """`[model]`: what it is called, who made it, where its weights are."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    version: Text
    title: Long
    status: Literal["demo", "research", "accepted"]
    task: Literal["segment", "detect", "classify", "score"]
    manufacturer: Long
    licence: Text
    onnx: Annotated[str, Field(pattern=r"^[^/\\]+\.onnx$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Bundle(Table):
    """All of model.toml; `input` is read by `dicomnode.domain.condition`."""

    model: ModelTable
    input: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    prepare: tuple[AnyPrepare, ...] = ()
    tile: TileTable
    output: OutputTable
    post: tuple[AnyPost, ...] = ()
    valid: ValidTable = ValidTable()
    plausible: PlausibleTable = PlausibleTable()
    segment: tuple[SegmentTable, ...] = ()
    class_: Annotated[tuple[ClassTable, ...], Field(alias="class")] = ()
    score: tuple[ScoreTable, ...] = ()

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        numbers = sorted(segment.number for segment in self.segment)
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(
                f"segments are numbered {numbers}, needed 1 to {len(numbers)} without gaps or repetition: "
                "a number is a channel of the output (PS3.3 C.8.20.4 asks the same of a binary SEG)"
            )
        return self

    @model_validator(mode="after")
    def _labelled(self) -> Self:
        needed = {"segment": "segment", "detect": "segment", "classify": "class_", "score": "score"}[self.model.task]
        if not getattr(self, needed):
            raise ValueError(f"task {self.model.task} without [[{needed.strip('_')}]], needed one at least")
        return self

    @model_validator(mode="after")
    def _related(self) -> Self:
        for check in self.plausible.checks():
            for right, left in check.limit if check.rule == "right_of" else ():
                if right == left or max(right, left) > len(self.segment):
                    raise ValueError(
                        f"right_of names the pair {[right, left]}, needed two different segments that exist"
                    )
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
