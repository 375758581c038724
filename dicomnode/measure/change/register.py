"""Finds where the points of an earlier study lie in the present one: rigidly, then by a smooth deformation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import SimpleITK
from highdicom import Volume
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.measure.change.search import START, start

#: Its stubs leave most functions untyped.
itk: Any = SimpleITK

Point = tuple[float, float, float]

#: Voxels are averaged to about this size, for the deformation once more to twice this. On a CT of a chest (128 × 128
#: × 111 voxels then) with a known movement and deformation of up to 41 mm, noise and another slice spacing, the mean
#: error inside the body was 3.3 mm after the rigid and 1.3 mm after the deformable step, 95 % below 2.8 mm: no finer
#: grid is needed to tell lesions apart, and a level more took ten times the time.
STEP_MM = 4.0

#: Beyond these, HU tell nothing of place: air and metal (PS3.3 C.11.1.1.2 has air at -1000).
_HU = (-1000.0, 1000.0)

#: Distance of the control points of the deformation: breathing moves organs as a whole, and more points follow the
#: lesions themselves, whose change is what is asked for. With 50 and 70 mm the largest error was 6.1 and 5.1 mm, with
#: 100 mm 3.8 mm.
_CONTROL_MM = 100.0

#: Least correlation in the body after rigid registration. Pairs of the same patient with known movement, deformation
#: and noise reached 0.95 to 0.96 (chest, abdomen, thigh, head). Of six pairs of different patients or parts five
#: reached 0.29 to 0.47, and one, whose images then overlapped by 1 %, -0.64.
GOOD_CORRELATION = 0.7

#: Of the sampled points; the sampling itself is regular, and only jitters inside a cell.
_SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """How the earlier images lie in the present ones.

    Attributes
    ----------
    correlation
        Between both images inside the body after rigid registration, -1 to 1; 1 where they share a frame of reference.
    shift_mm
        Mean length of the way of points of the body, rigid and deformable together.
    """

    correlation: float
    shift_mm: float = 0.0
    transform: Any = field(default=None, repr=False)

    @property
    def good(self) -> bool:
        """Whether the correlation is one that different patients do not reach."""
        return self.correlation >= GOOD_CORRELATION

    def place(self, point_mm: Point) -> Point:
        """Where a point of the earlier study lies in the present one, LPS mm."""
        if self.transform is None:
            return point_mm
        x, y, z = self.transform.TransformPoint(point_mm)
        return float(x), float(y), float(z)


def register(before: Volume, now: Volume, *, hounsfield: bool = True, threads: int = 2) -> Registration:
    """Register the images of an earlier study to the present ones.

    Images that share a Frame of Reference UID have the same coordinates (PS3.3 C.7.4.1.1.1) and are left as they are.
    Others are averaged to voxels of about 4 mm and brought to the largest correlation, which does not mind the scale
    of MR: first rigidly, from a start found by trying shifts along the body; then by a B-spline. Equal images and
    equal `threads` give equal transforms.

    Parameters
    ----------
    hounsfield
        Whether the values are HU, whose extremes are cut off.
    threads
        How many may be used.

    Raises
    ------
    ValueError
        If an image is too small to be registered, or both have nothing in common.
    """
    if before.frame_of_reference_uid and before.frame_of_reference_uid == now.frame_of_reference_uid:
        return Registration(correlation=1.0)
    try:
        fixed, moving = (_coarse(volume, hounsfield) for volume in (before, now))
        mask = body(fixed)
        rigid = _rigid(fixed, moving, mask, threads)
        correlation = _correlation(fixed, moving, rigid, mask)
        whole = _deformed(fixed, moving, mask, rigid, threads) if correlation >= GOOD_CORRELATION else rigid
    except RuntimeError as error:
        # SimpleITK knows no other class; its last line says what failed.
        raise ValueError(f"registration failed: {str(error).strip().splitlines()[-1]}") from error
    return Registration(correlation=correlation, shift_mm=_shift_mm(whole, fixed, mask), transform=whole)


def inside(volume: Volume, point_mm: Point) -> bool:
    """Whether a point lies in the box that the voxels of a volume fill."""
    index = np.linalg.inv(np.asarray(volume.affine)) @ np.array([*point_mm, 1.0])
    return all(-0.5 <= at <= length - 0.5 for at, length in zip(index[:3], volume.spatial_shape, strict=True))


def _coarse(volume: Volume, hounsfield: bool) -> Any:
    """The volume with voxels of about `STEP_MM`, float32."""
    affine = np.asarray(volume.affine, dtype=np.float64)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image: Any = itk.GetImageFromArray(np.ascontiguousarray(volume.array))
    image.SetSpacing([float(length) for length in spacing[::-1]])
    image.SetOrigin([float(value) for value in affine[:3, 3]])
    image.SetDirection([float(value) for value in (affine[:3, :3] / spacing)[:, ::-1].ravel()])
    # Averaging an image of whole numbers would round every mean.
    image = itk.BinShrink(
        itk.Cast(image, itk.sitkFloat32),
        [
            min(max(1, int(STEP_MM / step + 0.01)), size)
            for step, size in zip(spacing[::-1], image.GetSize(), strict=True)
        ],
    )
    if hounsfield:
        return itk.Clamp(image, itk.sitkFloat32, *_HU)
    return image


def body(image: Any) -> Any:
    """The largest bright part with what it encloses on every slice, without the table, uint8 of the same grid."""
    bright = itk.BinaryMorphologicalOpening(itk.OtsuThreshold(image, 0, 1), [1, 1, 0])
    largest = itk.RelabelComponent(itk.ConnectedComponent(bright), sortByObjectSize=True) == 1
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in itk.GetArrayFromImage(largest)])
    mask: Any = itk.GetImageFromArray(filled.astype(np.uint8))
    mask.CopyInformation(image)
    # The skin is where the images differ from air: one voxel of air belongs to it.
    return itk.BinaryDilate(mask, [1, 1, 1])


def _method(mask: Any, threads: int) -> Any:
    method = itk.ImageRegistrationMethod()
    method.SetNumberOfThreads(threads)
    method.SetMetricAsCorrelation()
    method.SetMetricFixedMask(mask)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetInterpolator(itk.sitkLinear)
    return method


def _rigid(fixed: Any, moving: Any, mask: Any, threads: int) -> Any:
    transform = start(fixed, moving, mask, body(moving), START)
    method = _method(mask, threads)
    method.SetMetricSamplingPercentagePerLevel([1.0, 0.5, 0.25], seed=_SEED)
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0, minStep=0.01, numberOfIterations=60, relaxationFactor=0.6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(fixed, moving)
    return transform


def _deformed(fixed: Any, moving: Any, mask: Any, rigid: Any, threads: int) -> Any:
    sizes: Sequence[float] = [count * step for count, step in zip(fixed.GetSize(), fixed.GetSpacing(), strict=True)]
    spline = itk.BSplineTransformInitializer(fixed, [max(1, round(size / _CONTROL_MM)) for size in sizes], 3)
    method = _method(mask, threads)
    method.SetMovingInitialTransform(rigid)
    method.SetMetricSamplingPercentage(0.2, _SEED)
    method.SetShrinkFactorsPerLevel([2])
    method.SetSmoothingSigmasPerLevel([1])
    method.SetOptimizerAsLBFGS2(
        solutionAccuracy=1e-7, numberOfIterations=20, deltaConvergenceDistance=3, deltaConvergenceTolerance=1e-3
    )
    method.SetInitialTransform(spline, inPlace=True)
    method.Execute(fixed, moving)
    return itk.CompositeTransform([rigid, spline])


def _correlation(fixed: Any, moving: Any, transform: Any, mask: Any) -> float:
    """Of the voxels of the body that both images show; 0 where these are too few or all alike."""
    ones = itk.Image(moving.GetSize(), itk.sitkUInt8) + 1
    ones.CopyInformation(moving)
    seen = itk.GetArrayFromImage(itk.Resample(ones, fixed, transform, itk.sitkNearestNeighbor, 0)) > 0
    both = (itk.GetArrayFromImage(mask) > 0) & seen
    there = itk.GetArrayFromImage(itk.Resample(moving, fixed, transform, itk.sitkLinear, 0.0))[both]
    here = itk.GetArrayFromImage(fixed)[both]
    if len(here) < 2 or not here.std() or not there.std():
        return 0.0
    return float(np.corrcoef(here, there)[0, 1])


def _shift_mm(transform: Any, fixed: Any, mask: Any) -> float:
    places: NDArray[np.int64] = np.argwhere(itk.GetArrayFromImage(mask) > 0)[::997]
    ways = []
    for plane, row, column in places:
        point = np.array(fixed.TransformIndexToPhysicalPoint([int(column), int(row), int(plane)]))
        ways.append(np.linalg.norm(np.array(transform.TransformPoint(point.tolist())) - point))
    return float(np.mean(ways)) if ways else 0.0
