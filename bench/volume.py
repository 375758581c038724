"""A series of CT images as a volume: our reader against SimpleITK's, from a folder of files to an array in memory."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK

from bench.rows import Row, alternating, main, times_faster
from dicomnode.infer.read.volume import read_series
from dicomnode.train.phantoms import Phantom
from dicomnode.train.series import to_datasets


def measure(arguments: argparse.Namespace) -> Sequence[Row]:
    """The one row; files are in the page cache, as they are when a study has just come."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        save_series(folder, arguments.instances)
        _require_same(_ours(folder), _theirs(folder))
        taken = alternating(
            {"ours": lambda: _seconds(_ours, folder), "SimpleITK": lambda: _seconds(_theirs, folder)}, arguments.runs
        )
    ours, theirs = taken["ours"], taken["SimpleITK"]
    row = Row(
        name="series → Volume",
        remark=f"{arguments.instances} CT instances of 0.5 MB, same values",
        ours=ours,
        theirs=theirs,
        peer="SimpleITK's series reader",
        ratio=times_faster(ours, theirs),
        limit=1.0,
        aim=2.0,
    )
    return [row]


def save_series(folder: Path, instances: int, size: int = 512) -> None:
    """A CT whose pixels are noise, one file of native pixels for each slice."""
    noise = np.random.default_rng(1).integers(-1000, 1000, (instances, size, size), dtype=np.int16)
    labels = np.zeros(noise.shape, np.uint8)
    phantom = Phantom(hounsfield=noise, labels=labels, spacing_mm=(1.0, 0.7, 0.7), origin_mm=(0, 0, 0), seed=1)
    for number, ds in enumerate(to_datasets(phantom)):
        ds.save_as(folder / f"{number:04}.dcm", enforce_file_format=True)


def _ours(folder: Path) -> npt.NDArray[Any]:
    return read_series(sorted(folder.iterdir())).volume.array


def _theirs(folder: Path) -> Any:
    # The reader takes its files in the order of their slices and does not look for it.
    reader: Any = SimpleITK.ImageSeriesReader()  # type: ignore[no-untyped-call]
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def _require_same(ours: npt.NDArray[Any], theirs: Any) -> None:
    """Refuse to compare readers that do not read the same."""
    if not np.array_equal(ours, SimpleITK.GetArrayFromImage(theirs)):
        raise SystemExit("our values and SimpleITK's differ, needed the same")


def _seconds(read: Any, folder: Path) -> float:
    began = time.perf_counter()
    read(folder)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main("Series to volume", measure, ("--instances", int, 300)))
