"""Holds a loaded network against its bundle: names, types, axes and channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dicomnode.domain.errors import ModelError
from dicomnode.domain.model import ModelSpec, Task, Weights
from dicomnode.infer.network.activation import SIGMOID, SOFTMAX
from dicomnode.infer.network.vector import require_vector

AXES = ("batch", "channel", "slice", "row", "column")
PLANE_AXES = ("batch", "channel", "row", "column")
TABLE_AXES = ("row", "column")
VECTOR_AXES = ("batch", "channel")
FLOATS = ("tensor(float)", "tensor(float16)")

#: Where a length comes from.
_STATED = "as model.toml says"

#: Lengths that an axis may have; None where any will do.
Lengths = Sequence[int] | None


def channels_of(spec: ModelSpec) -> tuple[int, ...]:
    """How many channels the output of a network may have, the usual number first.

    A mask has a background and every label that the network tells apart; without softmax the background may be
    absent. Two classes may come as the probability of the second.
    """
    match spec.task:
        case Task.CLASSIFY:
            count = len(spec.classes)
            return (count, 1) if count == 2 and spec.activation == SIGMOID else (count,)
        case Task.SCORE:
            return (len(spec.scores),)
        case _:
            labels = label_count(spec)
            return (labels + 1,) if spec.activation == SOFTMAX else (labels + 1, labels)


def label_count(spec: ModelSpec) -> int:
    """How many segments are channels of the output."""
    return len(spec.segments) if spec.network.labels is None else spec.network.labels


def outputs_of(spec: ModelSpec) -> tuple[str, ...]:
    """Names of the outputs that are read."""
    names = spec.network
    return (names.boxes, names.scores) if spec.task is Task.DETECT else (names.output,)


def require_fitting(session: Any, spec: ModelSpec, weights: Weights) -> None:
    """Compare a network with its bundle; an axis without a fixed length fits any.

    Raises
    ------
    ModelError
        Naming the value, what it is and what the bundle needs.
    """
    if spec.signature is not None:
        require_vector(session, spec, weights)
        return
    subject = f"model {spec.name}: {weights.onnx}"
    inputs = {value.name: value for value in session.get_inputs()}
    needed = [spec.network.input, *([spec.network.features] if spec.features else [])]
    if [*inputs] != needed and {*inputs} != {*needed}:
        only = "alone" if len(needed) == 1 else "and no more"
        raise ModelError(f"{subject} has {', '.join(inputs) or 'nothing'}, needed {' and '.join(needed)} {only}")
    outputs = {value.name: value for value in session.get_outputs()}
    if missing := [name for name in outputs_of(spec) if name not in outputs]:
        raise ModelError(f"{subject} has {', '.join(outputs) or 'nothing'}, needed {' and '.join(missing)}")
    batch: Lengths = (spec.tile.batch,) if spec.tile.batch else None
    if spec.task is Task.DETECT:
        batch = (1,)
    counted = _counted(spec)
    _require_image(inputs[spec.network.input], subject, batch, (spec.channels,), spec)
    if spec.features:
        _require(inputs[spec.network.features], subject, VECTOR_AXES, [batch, (len(spec.features),)])
    match spec.task:
        case Task.SEGMENT:
            _require_image(outputs[spec.network.output], subject, batch, channels_of(spec), spec, counted)
        case Task.DETECT:
            _require(outputs[spec.network.boxes], subject, TABLE_AXES, [None, (6,)])
            _require(outputs[spec.network.scores], subject, TABLE_AXES, [None, channels_of(spec)], counted)
        case _:
            _require(outputs[spec.network.output], subject, VECTOR_AXES, [batch, channels_of(spec)], counted)


def fixed_batch(session: Any, spec: ModelSpec) -> int:
    """How many tiles a network takes, no more and no fewer; 0 where it leaves that open."""
    (length,) = [value.shape[0] for value in session.get_inputs() if value.name == spec.network.input]
    return length if isinstance(length, int) else 0


def _counted(spec: ModelSpec) -> str:
    """Where the number of channels of an output comes from."""
    match spec.task:
        case Task.CLASSIFY:
            return f"for {len(spec.classes)} classes"
        case Task.SCORE:
            return f"for {len(spec.scores)} scores"
        case _:
            least = "" if spec.activation == SOFTMAX else "perhaps "
            return f"for {least}a background and {label_count(spec)} segments"


def _require_image(
    value: Any, subject: str, batch: Lengths, channels: Lengths, spec: ModelSpec, counted: str = _STATED
) -> None:
    """A value over a tile; one slice may lack its axis."""
    slices, rows, columns = ((length,) for length in spec.tile.shape)
    if spec.tile.shape[0] == 1 and len(value.shape) == len(PLANE_AXES):
        _require(value, subject, PLANE_AXES, [batch, channels, rows, columns], counted)
    else:
        _require(value, subject, AXES, [batch, channels, slices, rows, columns], counted)


def _require(value: Any, subject: str, axes: Sequence[str], needed: Sequence[Lengths], counted: str = _STATED) -> None:
    """`counted` says where the number of channels comes from."""
    if value.type not in FLOATS:
        raise ModelError(f"{subject}: {value.name} is {value.type}, needed {' or '.join(FLOATS)}")
    if len(value.shape) != len(axes):
        told = f"{len(axes)} ({', '.join(axes)})"
        raise ModelError(f"{subject}: {value.name} has {len(value.shape)} axes, needed {told}")
    for axis, found, wanted in zip(axes, value.shape, needed, strict=True):
        if isinstance(found, int) and wanted is not None and found not in wanted:
            told = " or ".join(str(length) for length in wanted)
            source = counted if axis == "channel" else _STATED
            raise ModelError(f"{subject}: {value.name} has {axis} {found}, needed {told} {source}")
