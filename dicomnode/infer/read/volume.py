"""Reads a series of single-frame images as one volume in patient space, with its headers in the same order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from pydicom import Dataset

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import SourceSeries, planes_of
from dicomnode.infer.read.frame import Frame, read_frame
from dicomnode.infer.read.geometry import IRREGULARITY_MM, affine_of, axes_of, by_position, depths_mm
from dicomnode.infer.read.pixels import rescale_into, stored_values

#: Reading waits for the disk and decoding leaves the GIL, so a few more threads than cores help; more do not.
MOST_THREADS = 8

#: Rounding in the third decimal moves the far edge of 512 pixels by a quarter of a millimetre, less than a pixel.
SAME_PIXEL_SPACING_MM = 5e-4


def read_series(paths: Sequence[Path]) -> SourceSeries:
    """Read single-frame CT, MR or PT images as one volume.

    Slices are ordered along the normal, the cross product of row and column direction (PS3.3 C.7.6.2.1.1). Rows and
    columns stay as they are. Values are rescaled slice by slice (PS3.3 C.11.1.1.2), padding values among them. The
    array is int16 when every slope and intercept is an integer and all values fit, else float32.

    Parameters
    ----------
    paths
        Part 10 files of one series, in any order.

    Raises
    ------
    Unsuitable
        If they are not one regular, upright stack of greyscale images of one patient and frame of reference, or
        cannot be decoded.
    """
    if not paths:
        raise Unsuitable("series: no images, needed 2 or more")
    # Parsing holds the GIL: threads make it slower (170 MR headers: 0.67 s with eight threads, 0.53 s without).
    frames = [read_frame(path) for path in paths]
    subject = f"series {frames[0].belongs_to['SeriesInstanceUID']}"
    _require_one_kind(frames, subject)
    axes = axes_of(frames, subject)
    groups = by_position(frames, axes)
    _require_identical(groups, depths_mm([group[0] for group in groups], axes), subject)
    slices = [group[0] for group in groups]
    if len(slices) < 2:
        raise Unsuitable(f"{subject}: images at {len(slices)} position, needed 2 or more")
    affine = affine_of(slices, axes, subject)
    with ThreadPoolExecutor(min(MOST_THREADS, (os.cpu_count() or 1) + 2)) as pool:
        array = _values(slices, pool)
    volume = Volume(
        array=array,
        affine=affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=slices[0].belongs_to["FrameOfReferenceUID"],
    )
    warnings = _warnings(slices, len(frames) - len(slices), volume.spacing[0])
    planes = planes_of([frame.dataset for frame in slices])
    return SourceSeries(volume=volume, planes=planes, unit=_unit(slices[0].dataset), warnings=warnings)


def _require_one_kind(frames: Sequence[Frame], subject: str) -> None:
    for keyword in frames[0].belongs_to:
        values = {frame.belongs_to[keyword] for frame in frames}
        if len(values) > 1:
            # Patient IDs are counted and not shown: messages reach the log.
            raise Unsuitable(f"{subject}: images with {len(values)} different values of {keyword}, needed one")
    shapes = {(frame.rows, frame.columns) for frame in frames}
    if len(shapes) > 1:
        raise Unsuitable(f"{subject}: images of {_listed(shapes)} rows and columns, needed one size")
    spacings = {frame.pixel_spacing_mm for frame in frames}
    if np.ptp(np.array(list(spacings)), axis=0).max() > SAME_PIXEL_SPACING_MM:
        raise Unsuitable(f"{subject}: pixel spacings {_listed(spacings)} mm, needed one")


def _require_identical(groups: Sequence[Sequence[Frame]], depths: npt.NDArray[np.float64], subject: str) -> None:
    for group, depth in zip(groups, depths, strict=True):
        if len(group) > 1 and not _same_pixels(group):
            crowded = sum(len(other) > 1 for other in groups)
            raise Unsuitable(
                f"{subject}: several slices at one position ({len(group)} at {depth:.1f} mm along the normal, "
                f"{crowded} such positions of {len(groups)}), needed one; phases, echoes or reconstructions "
                "have to be separate series"
            )


def _same_pixels(group: Sequence[Frame]) -> bool:
    first = stored_values(group[0])
    return all(
        (frame.slope, frame.intercept, frame.position_mm) == (group[0].slope, group[0].intercept, group[0].position_mm)
        and np.array_equal(stored_values(frame), first)
        for frame in group[1:]
    )


def _values(slices: Sequence[Frame], pool: ThreadPoolExecutor) -> npt.NDArray[Any]:
    """Rescaled values, (slice, row, column)."""
    shape = (len(slices), slices[0].rows, slices[0].columns)
    if all(frame.integral for frame in slices):
        array: npt.NDArray[Any] = np.empty(shape, dtype=np.int16)
        if all(pool.map(rescale_into, slices, array)):
            return array
    array = np.empty(shape, dtype=np.float32)
    all(pool.map(rescale_into, slices, array))
    return array


def _warnings(slices: Sequence[Frame], dropped: int, spacing_mm: float) -> tuple[str, ...]:
    warnings = []
    if dropped:
        warnings.append(f"{dropped} images came twice with identical pixels; one of each was used")
    stated = slices[0].dataset.get("SpacingBetweenSlices")
    if isinstance(stated, float | int) and stated > 0 and abs(stated - spacing_mm) > IRREGULARITY_MM:
        warnings.append(
            f"Spacing Between Slices is stated as {float(stated):.3g} mm, but the slices lie {spacing_mm:.3g} mm "
            "apart; their positions were used"
        )
    if any(str(frame.dataset.get("LossyImageCompression", "")) == "01" for frame in slices):
        warnings.append("the images were compressed with loss at some time; intensities are approximate")
    return tuple(warnings)


def _unit(dataset: Dataset) -> str:
    return "[hnsf'U]" if dataset.get("Modality") == "CT" else "1"


def _listed(values: set[Any]) -> str:
    return " and ".join(" × ".join(f"{part:g}" for part in value) for value in sorted(values))
