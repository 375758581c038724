"""What PET reports tell of a lesion: peak, metabolic volume and total lesion glycolysis."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from highdicom import Volume
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Measurement
from dicomnode.measure import codes
from dicomnode.measure.measured import Measured, joined, missing, row
from dicomnode.measure.region import Region, voxel_volume_ml

#: PERCIST (Wahl et al., J Nucl Med 50 Suppl 1:122S-150S, 2009): the mean in a sphere of 1 cm³.
PEAK_RADIUS_MM = (3 * 1000 / (4 * np.pi)) ** (1 / 3)

#: Distance of the points by which the share of a voxel in the sphere is counted: the shares add up to 1 ml within 0.2 %
#: (a test holds it).
_POINTS_MM = 0.2

_SHARE_OF_MAXIMUM = 0.41
_FIXED = 2.5


def measure(volume: Volume, region: Region, values: NDArray[np.float64], concept: Code, unit: Code) -> Measured:
    """Peak Value Within ROI, Metabolic Volume and Total Lesion Glycolysis of one lesion.

    Parameters
    ----------
    volume
        Standardised uptake values.
    values
        Those of the lesion's voxels, all finite.
    concept, unit
        The kind of SUV.
    """
    return joined((_peak(volume, region, concept, unit), _metabolic(volume, region, values, unit)))


def unmeasured(segment_number: int, concept: Code, unit: Code, reason: Code, text: str) -> Measured:
    """All of these as absent for one reason."""
    lacking = [missing(segment_number, [(concept, unit)], reason, text, derivation=codes.PEAK)]
    for method in (codes.ABOVE_41_PERCENT, codes.ABOVE_2_5):
        lacking.append(missing(segment_number, _metabolic_rows(unit), reason, text, method=method))
    return joined(lacking)


def peak(volume: Volume, region: Region) -> tuple[float, tuple[int, int, int]] | None:
    """Highest mean in a sphere of 1 ml round any voxel of the lesion, and that voxel (slice, row, column).

    The sphere stands on the centres of the lesion's voxels and may reach over its edge (IBSI 0F91; PERCIST). Every
    voxel counts by the share of it that lies in the sphere, so that the volume is 1 ml on any grid; IBSI counts whole
    voxels by their centres, which on the 2 mm of its digital phantom gives 3.10 where this gives 2.90. Places where
    the sphere meets the end of the image or a value that is not finite are left out; None where that leaves no place.
    """
    z_mm, y_mm, x_mm = (float(length) for length in volume.spacing)
    reaches = (_reach(z_mm), _reach(y_mm), _reach(x_mm))
    if any(2 * reach >= length for reach, length in zip(reaches, volume.spatial_shape, strict=True)):
        return None
    weights = sphere((z_mm, y_mm, x_mm))
    known, found = _around(volume, region, tuple(length // 2 for length in weights.shape))
    means = fftconvolve(found, weights, mode="same")
    unknown = fftconvolve((~known).astype(np.float64), (weights > 0).astype(np.float64), mode="same") > 0.5
    own = tuple(slice(length // 2, end - length // 2) for length, end in zip(weights.shape, found.shape, strict=True))
    inside = region.mask & ~unknown[own]
    if not inside.any():
        return None
    place = np.unravel_index(int(np.where(inside, means[own], -np.inf).argmax()), region.mask.shape)
    z, y, x = (int(at) + part.start for at, part in zip(place, region.box, strict=True))
    return float(means[own][place]), (z, y, x)


@lru_cache(maxsize=16)
def sphere(spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Share of every voxel round a centre in the sphere of 1 ml, divided by their sum; odd along every axis."""
    shape: list[int] = []
    squares = []
    for length in spacing_mm:
        count, reach = int(np.ceil(length / _POINTS_MM)), _reach(length)
        offsets = (np.arange(count) + 0.5) / count - 0.5
        shape += [2 * reach + 1, count]
        squares.append((((np.arange(-reach, reach + 1)[:, None] + offsets) * length) ** 2).ravel())
    z, y, x = squares
    inside = z[:, None, None] + y[None, :, None] + x[None, None, :] <= PEAK_RADIUS_MM**2
    shares = inside.reshape(shape).sum(axis=(1, 3, 5))
    weights: NDArray[np.float64] = shares / shares.sum()
    return weights


def _reach(spacing_mm: float) -> int:
    """Voxels on either side of a centre of which the sphere has a share."""
    return int(np.ceil(PEAK_RADIUS_MM / spacing_mm - 0.5))


def _around(volume: Volume, region: Region, margin: tuple[int, ...]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """The region's box with a margin on every side: where a value is known, and the values with 0 elsewhere."""
    box, pad = [], []
    for part, more, length in zip(region.box, margin, volume.spatial_shape, strict=True):
        low, high = part.start - more, part.stop + more
        box.append(slice(max(0, low), min(length, high)))
        pad.append((max(0, -low), max(0, high - length)))
    values = np.asarray(volume.array[tuple(box)], dtype=np.float64)
    finite = np.isfinite(values)
    return np.pad(finite, pad), np.pad(np.where(finite, values, 0.0), pad)


def _metabolic_rows(unit: Code) -> tuple[tuple[Code, Code], ...]:
    return (
        (codes.METABOLIC_VOLUME, codes.CUBIC_CENTIMETER),
        (codes.TOTAL_LESION_GLYCOLYSIS, codes.glycolysis_unit(unit)),
    )


def _peak(volume: Volume, region: Region, concept: Code, unit: Code) -> Measured:
    number = region.segment.number
    found = peak(volume, region)
    if found is None:
        text = "a sphere of 1 ml round any voxel of the lesion meets the end of the image or a voxel without value"
        return missing(number, [(concept, unit)], codes.INDETERMINATE, text, derivation=codes.PEAK)
    value, place = found
    affine = np.asarray(volume.affine, dtype=np.float64)
    x, y, z = (float(coordinate) for coordinate in affine[:3, :3] @ place + affine[:3, 3])
    return Measured(
        measurements=(
            Measurement(
                segment_number=number,
                name=concept,
                value=value,
                unit=unit,
                derivation=codes.PEAK,
                points_mm=((x, y, z),),
                plane=place[0],
            ),
        )
    )


def _metabolic(volume: Volume, region: Region, values: NDArray[np.float64], unit: Code) -> Measured:
    number = region.segment.number
    voxel_ml = voxel_volume_ml(volume)
    named = _metabolic_rows(unit)
    found = []
    highest = float(values.max())
    for threshold, method in ((_SHARE_OF_MAXIMUM * highest, codes.ABOVE_41_PERCENT), (_FIXED, codes.ABOVE_2_5)):
        if threshold <= 0:
            text = f"the highest uptake of the lesion is {highest:g}, needed more than 0"
            found.append(missing(number, named, codes.OUT_OF_RANGE, text, method=method))
            continue
        above = values[values >= threshold]
        numbers = (above.size * voxel_ml, float(above.sum()) * voxel_ml)
        rows = (row(number, name, value, of, method=method) for (name, of), value in zip(named, numbers, strict=True))
        found.append(Measured(measurements=tuple(rows)))
    return joined(found)
