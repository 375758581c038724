"""How full and how busy the GPUs are, as the driver's own library tells; nothing where there is none."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from threading import Event, Thread
from typing import Any

from dicomnode.flow import pulse

#: Comes with the driver; its ABI is versioned by the names of its functions (NVML API reference).
_LIBRARY = "libnvidia-ml.so.1"
_SUCCESS = 0

#: As often as Prometheus asks by default.
_TELL_SECONDS = 15.0

#: What is older than four tellings is how the GPU was, not how it is.
_STALE_SECONDS = 4 * _TELL_SECONDS

#: Beside the signs of life, which go on when the driver does not.
_ROLE = "gpus"


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class _Utilisation(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU: its number, its memory, and the share of the last moments in which it computed (0 to 1)."""

    index: int
    used_bytes: int
    size_bytes: int
    busy: float

    def as_json(self) -> dict[str, Any]:
        """For `Gpu.of`."""
        return asdict(self)

    @classmethod
    def of(cls, found: dict[str, Any]) -> Gpu:
        """What `as_json` gave."""
        return cls(**found)


@cache
def _nvml() -> ctypes.CDLL:
    """The library, begun; it stays for as long as the process does. Raises `OSError`, and is tried again then."""
    library = ctypes.CDLL(_LIBRARY)
    if library.nvmlInit_v2() != _SUCCESS:
        raise OSError(f"{_LIBRARY}: does not begin, needed a driver that runs")
    return library


def gpus() -> Iterator[Gpu]:
    """Every GPU that can be asked."""
    try:
        library = _nvml()
    except OSError:
        return
    count = ctypes.c_uint()
    if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != _SUCCESS:
        return
    for index in range(count.value):
        device, memory, use = ctypes.c_void_p(), _Memory(), _Utilisation()
        if library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)) != _SUCCESS:
            continue
        if library.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)) != _SUCCESS:
            continue
        # Not told of a part of a GPU (MIG); it counts as idle.
        told = library.nvmlDeviceGetUtilizationRates(device, ctypes.byref(use)) == _SUCCESS
        yield Gpu(
            index=index, used_bytes=memory.used, size_bytes=memory.total, busy=use.gpu / 100 if told else 0.0
        )  # fmt: skip


@contextmanager
def told_gpus(store: Path) -> Iterator[None]:
    """Let others know of the GPUs meanwhile: the process that uses them may see them, and no other need."""
    over = Event()

    def tell() -> None:
        while True:
            found = [one.as_json() for one in gpus()]
            # Also that there is none any more; a machine that never had one writes nothing.
            if found or pulse.said(store, _ROLE).get("gpus"):
                pulse.say(store, _ROLE, {"gpus": found})
            if over.wait(_TELL_SECONDS):
                return

    # A driver that hangs holds this thread and nothing else.
    Thread(target=tell, daemon=True, name="gpus").start()
    try:
        yield
    finally:
        over.set()


def gpus_told(store: Path) -> list[Gpu]:
    """What `told_gpus` has told lately; nothing of a process that has ended, or waits for a driver that hangs."""
    age = pulse.ages_seconds(store, (_ROLE,)).get(_ROLE, _STALE_SECONDS)
    return [Gpu.of(one) for one in pulse.said(store, _ROLE).get("gpus", ())] if age < _STALE_SECONDS else []
