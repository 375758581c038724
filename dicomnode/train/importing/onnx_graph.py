"""Reads an ONNX file whole or refuses it: its values, operators, and weights that lie in other files beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import onnx
from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]
from onnx import external_data_helper

from dicomnode.train.importing.faults import refuse

#: Sets of operators that onnxruntime may have beside the standard's; loading the network says whether it does.
_RUNTIME_DOMAINS = frozenset({"com.microsoft", "ai.onnx.ml"})

_STANDARD = ("", "ai.onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """An input or output: its name and the lengths of its axes, None where any will do."""

    name: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A network that is complete and known.

    Attributes
    ----------
    content
        The network with all its weights, as one file.
    """

    path: Path
    content: bytes = field(repr=False)
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


def read_graph(path: Path) -> Graph:
    """An ONNX file.

    Raises
    ------
    ConfigError
        If it is truncated or of another kind, has operators that are not known, or weights outside its folder.
    """
    try:
        model = onnx.load_model(str(path), load_external_data=False)
    except OSError as error:
        refuse("SOURCE", str(path), f"cannot be read ({error.strerror}); name an ONNX file")
    except (DecodeError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())[:160]
        refuse("SOURCE", str(path), f"no ONNX model ({said}); the file is truncated or of another kind")
    if not model.graph.node or not model.graph.output:
        refuse("SOURCE", str(path), "no ONNX model: its graph is empty; the file is truncated or of another kind")
    _require_known(model, path)
    _gather(model, path)
    try:
        onnx.checker.check_model(model)
        content = model.SerializeToString()
    except onnx.checker.ValidationError as error:
        said = " ".join(str(error).split())[:200]
        refuse("SOURCE", str(path), f"no valid ONNX model ({said}); export it again")
    except (EncodeError, ValueError) as error:
        said = " ".join(str(error).split())[:160]
        refuse("SOURCE", str(path), f"cannot become one file ({said}); a bundle's network has 2 GiB at most")
    weights = {tensor.name for tensor in model.graph.initializer}
    return Graph(
        path=path,
        content=content,
        inputs=tuple(_value(one) for one in model.graph.input if one.name not in weights),
        outputs=tuple(_value(one) for one in model.graph.output),
    )


def _value(one: Any) -> Value:
    axes = one.type.tensor_type.shape.dim
    return Value(name=one.name, shape=tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in axes))


def _require_known(model: Any, path: Path) -> None:
    versions = {one.domain: one.version for one in model.opset_import}
    newest = onnx.defs.onnx_opset_version()
    version = max((versions[domain] for domain in _STANDARD if domain in versions), default=0)
    if not 1 <= version <= newest:
        refuse(
            "SOURCE", str(path), f"operators of set {version}, needed 1 to {newest}; export it with opset_version=17"
        )
    own = {(one.domain, one.name) for one in model.functions}
    for node in _nodes(model.graph):
        if (node.domain, node.op_type) in own or node.domain in _RUNTIME_DOMAINS:
            continue
        known = node.domain in _STANDARD and onnx.defs.has(node.op_type, max_inclusive_version=version, domain="")
        if not known:
            name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            refuse(
                "SOURCE",
                str(path),
                f"operator {name} is not one of ONNX; export the model without functions of its own",
            )


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def _gather(model: Any, path: Path) -> None:
    """Take in the weights that lie in other files of the same folder."""
    folder = path.resolve().parent
    for tensor in _tensors(model.graph):
        if not external_data_helper.uses_external_data(tensor):
            continue
        location = next((one.value for one in tensor.external_data if one.key == "location"), "")
        parts = {*PurePosixPath(location).parts, *PureWindowsPath(location).parts}
        absolute = PurePosixPath(location).is_absolute() or PureWindowsPath(location).is_absolute()
        place = folder / location
        if not location or absolute or ".." in parts or not place.resolve().is_relative_to(folder):
            refuse("SOURCE", location[:200], "weights outside the folder of the ONNX file; put them beside it")
        if not place.is_file():
            refuse("SOURCE", location[:200], f"weights of {path.name} are not there; copy the file beside it")
        stated = {one.key: one.value for one in tensor.external_data}
        if int(stated.get("offset") or 0) + int(stated.get("length") or 0) > place.stat().st_size:
            refuse("SOURCE", location[:200], f"shorter than {path.name} says; the file is truncated, copy it again")
        try:
            external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        except (OSError, ValueError, RuntimeError, onnx.checker.ValidationError) as error:
            said = " ".join(str(error).split())[:160]
            refuse("SOURCE", location[:200], f"weights cannot be read ({said}); copy the file again")
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]
