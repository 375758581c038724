"""Regions of a signature, and how several lesions become one patient."""

from __future__ import annotations

import numpy as np
import pytest
from highdicom import Volume
from numpy.typing import NDArray

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Segmentation
from dicomnode.domain.measuring import MeasureSpec, PartSpec
from dicomnode.domain.model import Segment
from dicomnode.domain.signature import SignatureSpec, Summary
from dicomnode.measure.region import regions
from dicomnode.measure.signature import lesions, region, summed

CODE = Code(value="4147007", scheme="SCT", meaning="Mass")
SPACING_MM = (3.0, 1.0, 2.0)
PARTS = MeasureSpec(parts=(PartSpec(name="solid", label="Solid", type=CODE, range=(100.0, 200.0)),))


def grid(array: NDArray[np.generic]) -> Volume:
    return Volume(array=array, affine=np.diag([*SPACING_MM, 1.0]), coordinate_system="PATIENT")


def segment(number: int) -> Segment:
    return Segment(number=number, label=f"Lesion {number}", category=CODE, type=CODE)


def labels(**boxes: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Single voxels by the number of their segment."""
    found = np.zeros((9, 21, 15), dtype=np.uint8)
    for name, place in boxes.items():
        found[place] = int(name[1:])
    return found


def found(array: NDArray[np.uint8], count: int = 3) -> Segmentation:
    return Segmentation(volume=grid(array), segments=tuple(segment(number) for number in range(1, count + 1)))


def cut(
    name: str, array: NDArray[np.uint8], values: NDArray[np.generic] | None = None, **spec: object
) -> NDArray[np.bool_]:
    volume = grid(np.zeros(array.shape, dtype=np.int16) if values is None else values)
    options = SignatureSpec(features=(), endpoint="", horizon="", **spec)  # type: ignore[arg-type]
    lesion = next(one for one in regions(volume, found(array)) if one.segment.number == 1)
    mask = region(name, volume, found(array), lesion, (1, 2), options, PARTS)
    assert {*np.unique(mask.volume.array)} <= {0, 1}
    result: NDArray[np.bool_] = mask.volume.array == 1
    return result


def test_a_ring_holds_every_voxel_within_its_reach() -> None:
    array = labels(n1=(4, 10, 7))
    ring = cut("ring", array, ring_mm=5.0)
    place = np.indices(array.shape).astype(float)
    offsets = [(axis - centre) * step for axis, centre, step in zip(place, (4, 10, 7), SPACING_MM, strict=True)]
    distance_mm = np.sqrt(sum(offset**2 for offset in offsets))
    assert np.array_equal(ring, (distance_mm <= 5.0) & (distance_mm > 0))


def test_a_ring_leaves_other_lesions_out_and_ends_with_the_image() -> None:
    array = labels(n1=(0, 0, 0), n2=(0, 1, 0), n3=(0, 0, 1))
    ring = cut("ring", array, ring_mm=2.0)
    assert not ring[0, 1, 0] and ring[0, 0, 1] and ring[0, 2, 0]
    assert int(ring.sum()) == 2


def test_a_ring_stays_within_the_segments_that_are_named() -> None:
    array = labels(n1=(4, 10, 7), n3=(4, 11, 7))
    ring = cut("ring", array, ring_mm=5.0, ring_within=(3,))
    assert np.argwhere(ring).tolist() == [[4, 11, 7]]


def test_a_part_is_told_by_its_intensities() -> None:
    array = labels(n1=(4, 10, 7))
    array[4, 10:13, 7] = 1
    values = np.zeros(array.shape, dtype=np.int16)
    values[4, 11, 7] = 150
    values[2, 2, 2] = 150
    assert np.argwhere(cut("part:solid", array, values)).tolist() == [[4, 11, 7]]
    assert np.argwhere(cut("lesion", array, values)).tolist() == [[4, 10, 7], [4, 11, 7], [4, 12, 7]]


def test_lesions_come_by_falling_volume_and_small_ones_are_left_out() -> None:
    array = labels(n1=(0, 0, 0), n3=(8, 0, 0))
    array[4, :5, 7] = 2
    voxel_ml = 0.006
    volume = grid(np.zeros(array.shape, np.int16))
    sized = [(one.segment.number, ml) for one, ml in lesions(volume, found(array), (1, 2, 3), 0.0)]
    assert [number for number, _ in sized] == [2, 1, 3]
    assert [ml for _, ml in sized] == pytest.approx([5 * voxel_ml, voxel_ml, voxel_ml])
    assert [one.segment.number for one, _ in lesions(volume, found(array), (1, 2, 3), 0.02)] == [2]
    assert [one.segment.number for one, _ in lesions(volume, found(array), (1, 3), 0.0)] == [1, 3]


def test_lesions_that_share_voxels_are_found_in_their_own_layers() -> None:
    under = labels(n1=(4, 10, 7))
    over = Segmentation(volume=grid(labels(n2=(4, 10, 7))), segments=(segment(2),))
    both = Segmentation(volume=grid(under), segments=(segment(1),), overlapping=(over,))
    volume = grid(np.zeros(under.shape, np.int16))
    (_, first), (second, _) = lesions(volume, both, (1, 2), 0.0)
    assert second.segment.number == 2
    assert first == pytest.approx(0.006)
    options = SignatureSpec(features=(), endpoint="", horizon="", ring_mm=2.0)
    mask = region("lesion", volume, both, second, (1, 2), options, PARTS)
    assert np.argwhere(mask.volume.array == 2).tolist() == [[4, 10, 7]]


@pytest.mark.parametrize(
    ("summary", "value"),
    [(Summary.LARGEST, 1.0), (Summary.MEAN, 2.0), (Summary.MAXIMUM, 3.0), (Summary.VOLUME_WEIGHTED, 1.5)],
)
def test_values_of_lesions_become_one(summary: Summary, value: float) -> None:
    assert summed([1.0, 3.0], [6.0, 2.0], summary) == pytest.approx(value)
