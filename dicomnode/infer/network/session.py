"""Networks loaded once and kept warm; the only module that speaks to onnxruntime."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

from dicomnode.domain.errors import ModelError
from dicomnode.domain.model import ModelSpec
from dicomnode.infer.bundle.load import read_network

INPUT = "image"
OUTPUT = "logits"
AXES = ("batch", "channel", "slice", "row", "column")
FLOAT = "tensor(float)"

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
)

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"

#: The control node of NVIDIA's driver on Linux. Asking for CUDA without a card costs an error on stderr per session.
NVIDIA = Path("/dev/nvidiactl")


class Sessions:
    """Inference sessions by the hash of their network, shared by all jobs of a process.

    Parameters
    ----------
    threads
        Threads of one inference on the CPU; 0 lets onnxruntime take one per core.
    """

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads
        self._warm: dict[str, Any] = {}
        self._lock = Lock()
        self._providers = _providers()

    def get(self, spec: ModelSpec) -> onnxruntime.InferenceSession:
        """The session of a model, loaded at the first call.

        Raises
        ------
        ModelError
            If the network is missing, is not the declared one, cannot be loaded, or does not fit its description.
        """
        with self._lock:
            session = self._warm.get(spec.weights[0].sha256)
            if session is None:
                session = self._load(spec)
                self._warm[spec.weights[0].sha256] = session
        _require_fitting(session, spec)
        return session

    def _load(self, spec: ModelSpec) -> Any:
        network = read_network(spec, spec.weights[0])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        with mapped(spec):
            # Without this, onnxruntime prints to stdout and tries again on its own when a provider fails.
            return onnxruntime.InferenceSession(network, options, providers=self._providers, enable_fallback=0)


def run(session: onnxruntime.InferenceSession, spec: ModelSpec, tiles: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Logits of a batch of tiles, (batch, channel, slice, row, column).

    Raises
    ------
    ModelError
        If the runtime fails or the result is not what the bundle declares, or not finite.
    """
    with mapped(spec):
        logits: npt.NDArray[Any] = session.run([OUTPUT], {INPUT: tiles})[0]
    needed = (len(tiles), len(spec.segments) + 1, *spec.tile.shape)
    if logits.shape != needed:
        raise ModelError(f"model {spec.name}: {OUTPUT} of shape {logits.shape}, needed {needed}")
    if not np.isfinite(logits).all():
        raise ModelError(f"model {spec.name}: {OUTPUT} holds values that are not finite, needed numbers")
    return logits


@contextmanager
def mapped(spec: ModelSpec) -> Iterator[None]:
    """Turn whatever onnxruntime raises into ModelError."""
    try:
        yield
    except RUNTIME_ERRORS as error:
        reason = " ".join(str(error).split())[:500]
        raise ModelError(f"model {spec.name}: onnxruntime says {reason}, needed a network that runs") from error


def _providers() -> list[str]:
    if CUDA not in onnxruntime.get_available_providers() or not NVIDIA.exists():
        return [CPU]
    # Finds CUDA libraries that came as Python packages; what it prints must not mix with the answers of a command.
    with redirect_stdout(sys.stderr):
        onnxruntime.preload_dlls()
    return [CUDA, CPU]


def _require_fitting(session: Any, spec: ModelSpec) -> None:
    """Compare names, types and shapes with the bundle; an axis without a fixed length fits any."""
    tile: list[int | None] = list(spec.tile.shape)
    batch = spec.tile.batch if spec.tile.batch == 1 else None
    _require_value(session.get_inputs(), INPUT, [batch, 1, *tile], spec)
    _require_value(session.get_outputs(), OUTPUT, [batch, len(spec.segments) + 1, *tile], spec)


def _require_value(values: Any, name: str, needed: list[int | None], spec: ModelSpec) -> None:
    subject = f"model {spec.name}: {spec.weights[0].onnx}"
    names = [value.name for value in values]
    if names != [name]:
        raise ModelError(f"{subject} has {', '.join(names) or 'nothing'}, needed {name} alone")
    value = values[0]
    if value.type != FLOAT:
        raise ModelError(f"{subject}: {name} is {value.type}, needed {FLOAT}")
    if len(value.shape) != len(AXES):
        raise ModelError(f"{subject}: {name} has {len(value.shape)} axes, needed {len(AXES)} ({', '.join(AXES)})")
    for axis, found, wanted in zip(AXES, value.shape, needed, strict=True):
        if isinstance(found, int) and found != wanted:
            raise ModelError(f"{subject}: {name} has {axis} {found}, needed {wanted or 'any'} as model.toml says")
