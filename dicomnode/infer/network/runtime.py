"""What onnxruntime raises, turned into this node's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from onnxruntime.capi import onnxruntime_pybind11_state as state

from dicomnode.domain.errors import ModelError
from dicomnode.domain.model import ModelSpec

#: Everything onnxruntime raises: its own classes, which share no base, and what its Python layer adds.
RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    state.DeviceReset,
    state.EPFail,
    state.EngineError,
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.ModelLoadCanceled,
    state.ModelLoaded,
    state.ModelRequiresCompilation,
    state.NoModel,
    state.NoSuchFile,
    state.NotFound,
    state.NotImplemented,
    state.RuntimeException,
    RuntimeError,
    ValueError,
    MemoryError,
)

#: How onnxruntime's arena, CUDA, cuBLAS, cuDNN and the C++ library say that memory is short.
_MEMORY_IS_SHORT = ("out of memory", "failed to allocate memory", "out_of_memory", "alloc_failed", "bad_alloc")


@contextmanager
def mapped(spec: ModelSpec) -> Iterator[None]:
    """Turn whatever onnxruntime raises into ModelError."""
    try:
        yield
    except RUNTIME_ERRORS as error:
        raise ModelError(f"model {spec.name}: onnxruntime says {words(error)}, needed a network that runs") from error


def words(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(str(error).split())[:500]


def memory_is_short(error: BaseException) -> bool:
    """Whether a smaller batch may help."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(sign in said for sign in _MEMORY_IS_SHORT)
