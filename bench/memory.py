"""Peak resident memory of a whole analysis above idle, against the raw int16 volume; Linux only (proc(5))."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.bundles import native
from bench.inference import MODELS, body
from bench.rows import Row, main
from dicomnode.domain.model import ModelSpec
from dicomnode.flow.process import Processed, process
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions
from dicomnode.train.phantoms import Phantom
from dicomnode.train.series import to_datasets

NATIVE = "native"

#: Outputs of an ordinary rule.
WANTED = ("seg", "sr")

#: What the process has done when it is called idle: a study that brings all libraries and the network in.
SMALL = (64, 256, 256)


def measure(arguments: argparse.Namespace) -> Sequence[Row]:
    """A row for a network at the source's own spacing, and one for lung-ct."""
    shape = (arguments.slices, arguments.size, arguments.size)
    return [_row(name, shape, arguments.runs) for name in (NATIVE, "lung-ct")]


def _row(name: str, shape: tuple[int, int, int], runs: int) -> Row:
    found = [above_idle(name, shape) for _ in range(runs)]
    volume_mib = np.prod(shape) * 2 / 1024**2
    return Row(
        name="peak resident memory of the work process above idle",
        remark=f"{name}, {' × '.join(map(str, shape))}, files to SEG and SR, raw int16 volume {volume_mib:.0f} MiB",
        ours=[one * volume_mib for one in found],
        unit="MiB",
        ratio=float(np.median(found)),
        limit=6.0,
        aim=3.0,
        at_most=True,
    )


def above_idle(name: str, shape: tuple[int, int, int]) -> float:
    """The peak in units of the volume, from a process of its own, so that nothing else is resident."""
    code = f"from bench.memory import tell; tell({name!r}, {shape!r})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=MODELS.parent, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


def tell(name: str, shape: tuple[int, int, int]) -> None:
    """Print the peak of this process above idle."""
    with TemporaryDirectory() as folder:
        below = Path(folder)
        spec = native(below / NATIVE) if name == NATIVE else load_bundle(MODELS / name)
        # Written by a process that is gone when the measurement begins.
        code = f"from bench.memory import save; save({folder!r}, {(SMALL, shape)!r})"
        subprocess.run([sys.executable, "-c", code], check=True, cwd=MODELS.parent)
        sessions = Sessions(threads=1, device="cpu")
        _analysed(below / "0", spec, sessions)
        idle = resident_bytes("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        _analysed(below / "1", spec, sessions)
        print((resident_bytes("VmHWM") - idle) / (np.prod(shape) * 2))


def save(folder: str, shapes: Sequence[tuple[int, int, int]]) -> None:
    """Write a series of each shape, into folders that are called by their number; all show a trunk of one size."""
    for number, shape in enumerate(shapes):
        slices, rows, columns = shape
        spacing_mm = (300 / slices, 360 / rows, 360 / columns)
        labels = np.zeros(shape, np.uint8)
        values = body(shape).array
        phantom = Phantom(hounsfield=values, labels=labels, spacing_mm=spacing_mm, origin_mm=(0, 0, 0), seed=number)
        below = Path(folder) / str(number)
        below.mkdir()
        for index, ds in enumerate(to_datasets(phantom)):
            ds.save_as(below / f"{index:04}.dcm", enforce_file_format=True)


def _analysed(folder: Path, spec: ModelSpec, sessions: Sessions) -> None:
    out = folder.with_name(f"{folder.name}-out")
    out.mkdir()
    done = process(sorted(folder.iterdir()), spec, WANTED, out, sessions)
    if not isinstance(done, Processed):
        raise SystemExit(f"{spec.name}: {done.reason}")


def resident_bytes(key: str) -> int:
    """`VmRSS` (now) or `VmHWM` (peak since it was reset) of this process, proc(5)."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[key].split()[0]) * 1024


if __name__ == "__main__":
    sys.exit(main("Memory", measure, ("--slices", int, 600), ("--size", int, 512)))
