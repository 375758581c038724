"""Plans memory before it is taken: probabilities stay in memory while they are small, and go to a file beyond."""

from __future__ import annotations

import os
import shutil
import tempfile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dicomnode.domain.errors import ModelError
from dicomnode.domain.model import ModelSpec

Halves = npt.NDArray[np.float16]
Floats = npt.NDArray[np.float32]

#: Share of the available memory that probabilities, and that the sums they are blended in, may take each; preparation,
#: labels and post-processing need the rest.
SHARE_OF_MEMORY = 0.25

_MEMORY = Path("/proc/meminfo")
_GROUPS = Path("/sys/fs/cgroup")


def room_for(spec: ModelSpec, channels: int, filled: int, shape: tuple[int, ...], scratch: Path) -> Halves:
    """An array for probabilities, (channel, slice, row, column), not yet filled.

    float16 keeps a probability to 0.0005 or better, less than interpolation adds.

    Parameters
    ----------
    filled
        How many of the channels will be written; the first ones stay untouched, which costs neither memory nor disk.
    shape
        Of the prepared volume, (slice, row, column).
    scratch
        Folder for the file that takes them when memory is short; the file has no name and goes with the array.

    Raises
    ------
    ModelError
        If neither memory nor disk can take them.
    """
    whole = (channels, *shape)
    needed = prod((filled, *shape)) * np.dtype(np.float16).itemsize
    available = available_bytes()
    if available is None or fits(needed, available):
        return np.empty(whole, dtype=np.float16)
    subject = f"model {spec.name}: probabilities of {needed / 1024**2:.0f} MiB"
    unfilled = needed // filled * (channels - filled)
    found: Halves = _mapped(subject, whole, np.float16, unfilled, needed, available, scratch)
    return found


def sums_for(spec: ModelSpec, scratch: Path, shape: tuple[int, ...]) -> Floats:
    """Zeros in which tiles are summed up, (channel, slice of a tile, row, column); else as `room_for`."""
    needed = prod(shape) * np.dtype(np.float32).itemsize
    available = available_bytes()
    if available is None or fits(needed, available):
        return np.zeros(shape, dtype=np.float32)
    subject = f"model {spec.name}: sums of tiles of {needed / 1024**2:.0f} MiB"
    found: Floats = _mapped(subject, shape, np.float32, 0, needed, available, scratch)
    return found


def fits(needed: int, available: int) -> bool:
    """Whether an array of so many bytes stays in memory."""
    return needed <= SHARE_OF_MEMORY * available


def _mapped(
    subject: str, shape: tuple[int, ...], kind: Any, unfilled: int, needed: int, available: int, scratch: Path
) -> Any:
    """An array of zeros in a file without a name; its first `unfilled` bytes take no disk."""
    free = shutil.disk_usage(scratch).free
    if free < needed:
        raise ModelError(
            f"{subject} with {available / 1024**2:.0f} MiB of memory and {free / 1024**2:.0f} MiB in {scratch} "
            "available, needed room in one of both"
        )
    try:
        with tempfile.TemporaryFile(dir=scratch) as file:
            if hasattr(os, "posix_fallocate"):
                # A disk that fills up later would end the process by a signal, not by an error.
                os.posix_fallocate(file.fileno(), unfilled, needed)
            return np.memmap(file, dtype=kind, mode="w+", shape=shape)
    except OSError as error:
        raise ModelError(f"{subject} cannot be put into {scratch} ({error.strerror}), needed room there") from error


def available_bytes() -> int | None:
    """Memory that can be had without swapping, within the limit of the control group; None where nobody can tell."""
    try:
        lines = dict(line.split(":", 1) for line in _MEMORY.read_text().splitlines())
        machine = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return _physical_bytes()
    within = _group_bytes()
    return machine if within is None else min(machine, within)


def _group_bytes() -> int | None:
    """What the control group (version 2) leaves; file pages that can be dropped do not count as used."""
    try:
        group = next(line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        return None
    folder = _GROUPS / group.strip().lstrip("/")
    # A limit holds for all groups below the one that states it.
    every = [folder, *(parent for parent in folder.parents if parent.is_relative_to(_GROUPS))]
    return min((left for one in every if (left := _left_in(one)) is not None), default=None)


def _left_in(folder: Path) -> int | None:
    """What one control group leaves; None where it has no limit."""
    try:
        limit = int((folder / "memory.max").read_text())
        used = int((folder / "memory.current").read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return limit - used + int(stat.get("inactive_file", 0))
    except (OSError, ValueError):
        return None


def _physical_bytes() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
