"""Fills a volume with the pixels of a stack: decoded, rescaled, padding taken out, tilted slices put upright."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from dicomnode.infer.read.frame import Frame
from dicomnode.infer.read.geometry import Placement
from dicomnode.infer.read.padding import Outside, Values, tissue_hu
from dicomnode.infer.read.pixels import parsed, stored_values
from dicomnode.infer.read.rescale import INT16, Rescale
from dicomnode.infer.read.tilt import shifted_into
from dicomnode.infer.read.unit import HOUNSFIELD, Intensities

#: Reading waits for the disk and decoding leaves the GIL, so a few more threads than cores help; more do not.
MOST_THREADS = 8

#: What stands for no pixel in a CT image: nothing is thinner than air at -1000 HU (the scale's definition), and images
#: of twelve bits with the usual intercept end at -1024. Padding that already lies between the two is left as it is.
AIR_HU = -1000
LEAST_HU = -1024


@dataclass(frozen=True, slots=True)
class _Slice:
    """One slice to fill: its place in the volume, its frame, and how its values become intensities."""

    index: int
    frame: Frame
    rescale: Rescale


def assemble(frames: Sequence[Frame], placed: Placement, meaning: Intensities) -> npt.NDArray[Any]:
    """Intensities of a stack, (slice, row, column).

    Parameters
    ----------
    frames
        In order along the normal, one per slice.

    Returns
    -------
    ndarray
        int16 where every slope and intercept is an integer and all values fit, else float32.

    Raises
    ------
    Unsuitable
        If pixels are cut short or cannot be decoded.
    """
    slices = [
        _Slice(index, frame, rescale)
        for index, (frame, rescale) in enumerate(zip(frames, meaning.rescales, strict=True))
    ]
    threads = min(MOST_THREADS, (os.cpu_count() or 1) + 2)
    shares = list(_shares(slices, threads))
    integral = all(one.rescale.integral and one.frame.image.kind != "f" for one in slices)
    with ThreadPoolExecutor(threads) as pool:
        for kind in (np.int16, np.float32) if integral else (np.float32,):
            array: npt.NDArray[Any] = np.empty(placed.shape, dtype=kind)

            def fill(share: tuple[list[_Slice], Dataset | None], array: npt.NDArray[Any] = array) -> bool:
                return _fill(*share, array, placed, meaning.unit == HOUNSFIELD)

            if all(pool.map(fill, shares)):
                break
    return array


def _shares(slices: Sequence[_Slice], threads: int) -> Iterator[tuple[list[_Slice], Dataset | None]]:
    """Slices that one thread reads in one go: those of a file, or a part of them where the file has many.

    A file whose frames have to be decoded is parsed once for all its parts, and comes with them.
    """
    files: dict[Path, list[_Slice]] = {}
    for one in slices:
        files.setdefault(one.frame.image.path, []).append(one)
    for ones in files.values():
        # Frames that have to be decoded come fastest in the order of the file.
        ones.sort(key=lambda one: one.frame.number or 0)
        size = -(-len(ones) // threads)
        dataset = parsed(ones[0].frame.image) if len(ones) > 1 and ones[0].frame.image.native is None else None
        yield from ((ones[start : start + size], dataset) for start in range(0, len(ones), size))


def _fill(
    share: Sequence[_Slice], dataset: Dataset | None, array: npt.NDArray[Any], placed: Placement, hounsfield: bool
) -> bool:
    """Write slices into the volume; False if a value does not fit into int16, and then the array is of no use."""
    stored = stored_values([one.frame for one in share], dataset)
    for one, (frame, values, padded) in zip(share, stored, strict=True):
        outside = padded
        if hounsfield:
            outside = None if tissue_hu(frame, one.rescale) else _with_blurred(padded, one, values)
        out = array[one.index]
        if placed.tilt is None:
            if not _rescale_into(values, one.rescale, outside, hounsfield, out):
                return False
            continue
        plane = np.empty(values.shape, dtype=array.dtype)
        if not _rescale_into(values, one.rescale, outside, hounsfield, plane):
            return False
        least = LEAST_HU if hounsfield else min(0, plane.min())
        shifted_into(out, plane, placed.tilt.starts[one.index], float(least))
    return True


def _with_blurred(outside: Outside, one: _Slice, values: Values) -> Outside:
    """Padding of a CT image, with what compression made of it: all that is nearer to it than to the least tissue."""
    padding = one.frame.first("PixelPaddingValue")
    whole = values.dtype.kind in "iu" and one.rescale.table is None
    if not (one.frame.image.lossy and whole and isinstance(padding, int)):
        return outside
    padding = int(np.array(padding, dtype=np.int64).astype(values.dtype))
    if padding * one.rescale.slope + one.rescale.intercept >= LEAST_HU or one.rescale.slope < 0:
        return outside
    blurred = values < (padding + (LEAST_HU - one.rescale.intercept) / one.rescale.slope) / 2
    if outside is not None:
        blurred |= outside
    return blurred if blurred.any() else None


def _rescale_into(stored: Values, rescale: Rescale, outside: Outside, hounsfield: bool, out: npt.NDArray[Any]) -> bool:
    """Write intensities into `out`, (row, column), int16 or float32; False if one does not fit into int16."""
    values = rescale.looked_up(stored)
    inside = values if outside is None else values[~outside]
    ends = (
        [float(end) * rescale.slope + rescale.intercept for end in (inside.min(), inside.max())] if inside.size else []
    )
    if out.dtype == np.int16:
        if ends and (min(ends) < INT16.min or max(ends) > INT16.max):
            return False
        # Arithmetic modulo 2¹⁶ is exact here because the result is known to fit.
        whole = values.view(np.int16) if values.dtype in (np.int16, np.uint16) else values.astype(np.int16)
        if rescale.slope != 1:
            whole = np.multiply(whole, np.int16(rescale.slope), out=out)
        np.add(whole, np.int16(rescale.intercept), out=out)
    else:
        np.multiply(values, rescale.slope, out=out, casting="unsafe")
        out += np.float32(rescale.intercept)
    if outside is not None:
        _take_out(values, rescale, outside, hounsfield, min(ends, default=0.0), out)
    return True


def _take_out(
    values: Values,
    rescale: Rescale,
    outside: npt.NDArray[np.bool_],
    hounsfield: bool,
    least: float,
    out: npt.NDArray[Any],
) -> None:
    """Give padding a value that no tissue has: air in CT, else no signal, or the slice's least where that is negative.

    Padding lies outside what was reconstructed (PS3.3 C.7.5.1.1.2); left at -2000 or 4095 it would weigh in every
    percentile and interpolated edge.
    """
    if hounsfield:
        padded = values[outside].astype(np.float64) * rescale.slope + rescale.intercept
        wrong = np.ones(padded.shape, dtype=bool)
        wrong[(padded >= LEAST_HU) & (padded <= AIR_HU)] = False
        if wrong.any():
            part = out[outside]
            part[wrong] = LEAST_HU
            out[outside] = part
    else:
        out[outside] = min(0.0, least)
