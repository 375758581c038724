"""What a segmentation is compared with: expert contours as masks, the Dice coefficient, and a thresholding baseline."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
_SAME_DICE = 0.98
"""Two contours of one slice that overlap more than this are one contour; a hole is never as large as its outline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxialCT:
    """An axial CT volume in LPS order.

    Attributes
    ----------
    hounsfield : ndarray of int16, (slice, row, column)
        Attenuation in HU; axes run towards head, posterior and patient-left.
    spacing_mm : tuple of float
        Spacing along (slice, row, column).
    origin_mm : tuple of float
        LPS position (x, y, z) of the centre of the first voxel.
    """

    hounsfield: npt.NDArray[np.int16]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]


def read_axial_ct(folder: Path) -> tuple[AxialCT, list[Dataset]]:
    """Read the largest axial CT series of a folder, and the structure sets that lie beside it.

    Raises
    ------
    ValueError
        If the folder holds no axial CT series, or its slices are not evenly spaced.
    """
    series: dict[str, list[Dataset]] = defaultdict(list)
    structure_sets: list[Dataset] = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            ds = pydicom.dcmread(path)
        except pydicom.errors.InvalidDicomError:
            continue
        if ds.Modality == "RTSTRUCT":
            structure_sets.append(ds)
        elif ds.Modality == "CT" and "PixelData" in ds and np.allclose(ds.ImageOrientationPatient, [1, 0, 0, 0, 1, 0]):
            series[ds.SeriesInstanceUID].append(ds)
    if not series:
        raise ValueError(f"{folder}: no axial CT series found")
    slices = sorted(sorted(series.values(), key=len)[-1], key=lambda ds: float(ds.ImagePositionPatient[2]))
    z = np.array([float(ds.ImagePositionPatient[2]) for ds in slices])
    gaps = np.diff(z)
    if len(z) < 2 or np.ptp(gaps) > 0.05:
        raise ValueError(f"{folder}: slices are not evenly spaced, gaps {gaps.min():.2f} to {gaps.max():.2f} mm")
    stored = [ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for ds in slices]
    first = slices[0]
    ct = AxialCT(
        hounsfield=np.stack(stored).astype(np.int16),
        spacing_mm=(float(gaps.mean()), float(first.PixelSpacing[0]), float(first.PixelSpacing[1])),
        origin_mm=(float(first.ImagePositionPatient[0]), float(first.ImagePositionPatient[1]), float(z[0])),
    )
    return ct, structure_sets


def roi_mask(structure_set: Dataset, roi_name: str, ct: AxialCT) -> Mask:
    """Voxels whose centres lie inside a region of interest, by the even-odd rule per slice.

    A contour repeated on a slice counts once; otherwise the even-odd rule would turn it into a hole. Repetitions may
    carry other points along the same line, so two contours are the same when what they enclose is.

    Parameters
    ----------
    structure_set : Dataset
        RT Structure Set with closed planar contours (PS3.3 C.8.8.6).
    roi_name : str
        ROI Name.
    ct : AxialCT
        The grid to fill.

    Returns
    -------
    ndarray of bool, (slice, row, column)

    Raises
    ------
    KeyError
        If no region of that name exists.
    """
    numbers = {roi.ROIName: roi.ROINumber for roi in structure_set.StructureSetROISequence}
    if roi_name not in numbers:
        raise KeyError(f"ROI {roi_name!r} not found; the structure set has {sorted(numbers)}")
    result: Mask = np.zeros(ct.hounsfield.shape, dtype=bool)
    seen: dict[int, list[Mask]] = defaultdict(list)
    for roi in structure_set.ROIContourSequence:
        if roi.ReferencedROINumber != numbers[roi_name]:
            continue
        for contour in getattr(roi, "ContourSequence", []):
            points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
            index = round((points[0, 2] - ct.origin_mm[2]) / ct.spacing_mm[0])
            if not 0 <= index < len(result):
                continue
            column = (points[:, 0] - ct.origin_mm[0]) / ct.spacing_mm[2]
            row = (points[:, 1] - ct.origin_mm[1]) / ct.spacing_mm[1]
            inside = filled_polygon(row, column, ct.hounsfield.shape[1:])
            if not any(dice(inside, other) > _SAME_DICE for other in seen[index]):
                seen[index].append(inside)
                result[index] ^= inside
    return result


def filled_polygon(row: npt.NDArray[np.float64], column: npt.NDArray[np.float64], shape: tuple[int, ...]) -> Mask:
    """Pixels whose centres lie inside a closed polygon given in pixel units, by the even-odd rule; (row, column)."""
    crossings = np.zeros((shape[0], shape[1] + 1), dtype=np.int32)
    for r0, c0, r1, c1 in zip(row, column, np.roll(row, -1), np.roll(column, -1), strict=True):
        if r0 == r1:
            continue
        low, high = sorted((r0, r1))
        rows = np.arange(max(0, int(np.ceil(low))), min(shape[0], int(np.ceil(high))))
        at = c0 + (rows - r0) * (c1 - c0) / (r1 - r0)
        np.add.at(crossings, (rows, np.clip(np.ceil(at), 0, shape[1]).astype(int)), 1)
    inside: Mask = np.cumsum(crossings[:, :-1], axis=1) % 2 == 1
    return inside


def dice(a: Mask, b: Mask, exclude: Mask | None = None) -> float:
    """Dice coefficient of two masks; voxels in `exclude` count for neither. Two empty masks agree: 1."""
    if exclude is not None:
        a, b = a & ~exclude, b & ~exclude
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def threshold_lungs(ct: AxialCT) -> npt.NDArray[np.uint8]:
    """Right (1) and left (2) lung by thresholding: the baseline that a network has to beat.

    Air inside the body below -400 HU without the trachea, the two largest parts (one part is split where it is
    thinnest), each closed by 6 mm in-plane so that vessels and small nodules are inside, and its holes filled.
    """
    _, dy, dx = ct.spacing_mm
    air = ct.hounsfield < -400
    inner = np.zeros_like(air)
    for k, plane in enumerate(air):
        parts, _ = ndimage.label(plane)
        edge = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
        inner[k] = plane & ~np.isin(parts, np.unique(edge))
    inner &= ~_trachea(ct, inner)
    inner = ndimage.binary_opening(inner, np.ones((1, 3, 3), dtype=bool))
    box = ndimage.find_objects(inner.astype(np.uint8))
    labels = np.zeros(air.shape, dtype=np.uint8)
    if not box:
        return labels
    margin = int(np.ceil(8 / min(dy, dx))) + 1
    area = tuple(
        slice(max(0, s.start - (margin if axis else 0)), s.stop + (margin if axis else 0))
        for axis, s in enumerate(box[0])
    )
    halves = _two_halves(inner[area], ct.spacing_mm)
    for label, lung in enumerate(halves, start=1):
        closed = np.stack([_closed(plane, (dy, dx), 6.0) for plane in lung])
        view = labels[area]
        view[closed & (view == 0)] = label
    return labels


def _trachea(ct: AxialCT, inner: Mask) -> Mask:
    """The air column followed downwards from the top of the image until it meets the lungs."""
    result = np.zeros_like(inner)
    _, dy, dx = ct.spacing_mm
    lumen = inner & (ct.hounsfield < -850)
    middle = inner.shape[2] / 2
    previous: Mask | None = None
    usual_mm2 = 0.0
    for k in range(len(inner) - 1, -1, -1):
        parts, count = ndimage.label(lumen[k])
        if not count:
            continue
        areas_mm2 = ndimage.sum_labels(lumen[k], parts, np.arange(1, count + 1)) * dy * dx
        if previous is None:
            centres = np.array(ndimage.center_of_mass(lumen[k], parts, np.arange(1, count + 1)))
            fit = [
                i + 1
                for i, (area, centre) in enumerate(zip(areas_mm2, centres, strict=True))
                if 60 < area < 700 and abs(centre[1] - middle) * dx < 40
            ]
        else:
            fit = [int(i) for i in np.unique(parts[previous]) if i and areas_mm2[i - 1] < 2.5 * usual_mm2]
            if not fit:
                break
        if fit:
            previous = np.isin(parts, fit)
            area_mm2 = float(previous.sum()) * dy * dx
            usual_mm2 = area_mm2 if not usual_mm2 else 0.8 * usual_mm2 + 0.2 * area_mm2
            result[k] = previous
    return ndimage.binary_dilation(result, np.ones((1, 3, 3), dtype=bool), iterations=2)


def _two_halves(inner: Mask, spacing_mm: tuple[float, float, float]) -> list[Mask]:
    """The right and the left of the two largest parts; one part is split by shrinking it until it falls in two."""
    depth_mm: npt.NDArray[np.float64] = ndimage.distance_transform_edt(inner, sampling=spacing_mm)
    seeds = np.zeros(inner.shape, dtype=np.int32)
    for erosion_mm in (0.0, 2.0, 4.0, 6.0, 9.0, 12.0):
        parts, count = ndimage.label(depth_mm > erosion_mm)
        sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
        order = np.argsort(sizes)[::-1][:2]
        if len(order) == 2 and sizes[order[1]] > 0.15 * sizes[order[0]]:
            x = [float(np.nonzero((parts == i + 1).any(axis=(0, 1)))[0].mean()) for i in order]
            for number, i in enumerate(order[np.argsort(x)], start=1):
                seeds[parts == i + 1] = number
            break
    else:
        half = inner.shape[2] // 2
        seeds[:, :, :half][inner[:, :, :half]] = 1
        seeds[:, :, half:][inner[:, :, half:]] = 2
    whole, _ = ndimage.label(inner)
    kept = np.isin(whole, np.unique(whole[seeds > 0])) & inner
    nearest = ndimage.distance_transform_edt(
        seeds == 0, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    owner = seeds[tuple(nearest)]
    return [kept & (owner == number) for number in (1, 2)]


def _closed(plane: Mask, spacing_mm: tuple[float, float], radius_mm: float) -> Mask:
    if not plane.any():
        return plane
    grown = ndimage.distance_transform_edt(~plane, sampling=spacing_mm) <= radius_mm
    shrunk = ndimage.distance_transform_edt(np.pad(grown, 1, mode="edge"), sampling=spacing_mm)[1:-1, 1:-1] > radius_mm
    result: Mask = ndimage.binary_fill_holes(shrunk | plane)
    return result
