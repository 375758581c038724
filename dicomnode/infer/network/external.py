"""Finds tensors that a network wants from other files, which no hash covers and whose paths may lead anywhere."""

from __future__ import annotations

from collections.abc import Iterator

from dicomnode.domain.errors import ModelError

#: Where tensors stand in the messages of onnx.proto: message, field number, message there.
_INNER = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}

#: Of TensorProto: `external_data`, and `data_location`, which is 1 for EXTERNAL.
_EXTERNAL_DATA, _DATA_LOCATION, _EXTERNAL = 13, 14, 1

#: Wire types of protocol buffers.
_VARINT, _FIXED_64, _LENGTH, _FIXED_32 = 0, 1, 2, 5

#: Graphs within graphs; onnxruntime itself ends far earlier.
_MOST_NESTED = 64


def require_self_contained(name: str, onnx: str, network: bytes) -> None:
    """Refuse a network that refers to other files.

    Parameters
    ----------
    name, onnx
        Of the model and of the file, for the message.

    Raises
    ------
    ModelError
        A tensor lies in another file, or the bytes are no ONNX model.
    """
    try:
        outside = any(_outside(memoryview(network), "model", 0))
    except (IndexError, RecursionError) as error:
        raise ModelError(f"model {name}: {onnx} is cut short or something else, needed an ONNX model") from error
    if outside:
        raise ModelError(
            f"model {name}: {onnx} keeps weights in other files (external data), needed one file that holds them all, "
            "since its SHA-256 covers no other"
        )


def _outside(message: memoryview, kind: str, depth: int) -> Iterator[bool]:
    """True for every sign of external data."""
    if depth > _MOST_NESTED:
        raise RecursionError(f"graphs nested more than {_MOST_NESTED} deep")
    inner = _INNER.get(kind, {})
    for number, value in _fields(message):
        if kind == "tensor":
            yield number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value == _EXTERNAL)
        elif number in inner and isinstance(value, memoryview):
            yield from _outside(value, inner[number], depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field; values of fixed length are left out."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
        elif wire == _LENGTH:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise IndexError("a field ends behind its message")
            yield number, message[at : at + length]
            at += length
        elif wire in (_FIXED_64, _FIXED_32):
            at += 8 if wire == _FIXED_64 else 4
        else:
            raise IndexError(f"wire type {wire}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
        if shift > 63:
            raise IndexError("a number of more than ten bytes")
