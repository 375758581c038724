"""Whatever the mask and the values are, there are finite numbers or reasons, and never both for one thing."""

from __future__ import annotations

import math

import numpy as np
from highdicom import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from dicomnode.domain.code import Code
from dicomnode.domain.measuring import MeasureSpec, PartSpec
from dicomnode.domain.model import Subject
from dicomnode.measure import codes, intensity, lesions, size, targets
from dicomnode.measure.measured import joined

from .conftest import segmentation_of, volume_of

SHAPES = array_shapes(min_dims=3, max_dims=3, max_side=6)
LENGTHS_MM = st.sampled_from([0.05, 0.7, 3.0, 40.0])
VALUES = st.sampled_from([-1024.0, 0.0, 2.5, 1e6, math.nan, math.inf, -math.inf])
#: CID 42 "Numeric Value Qualifier".
REASONS = {"114000", "114006", "114007", "114008", "114009", "114010", "114011"}
SPEC = MeasureSpec(
    lungs=(3,),
    parts=(
        PartSpec(
            name="solid",
            label="solid part",
            type=Code(value="4147007", scheme="SCT", meaning="Mass"),
            range=(-160.0, 300.0),
            minimum_volume_ml=0.001,
        ),
    ),
)


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(), spacing_mm=st.tuples(LENGTHS_MM, LENGTHS_MM, LENGTHS_MM), unit=st.sampled_from(["", "g/ml{SUVbw}"])
)
def test_any_input_gives_finite_numbers_or_coded_reasons(
    data: st.DataObject, spacing_mm: tuple[float, float, float], unit: str
) -> None:
    shape = data.draw(SHAPES)
    labels: NDArray[np.uint8] = data.draw(arrays(np.uint8, shape, elements=st.integers(0, 3)))
    values: NDArray[np.float64] = data.draw(arrays(np.float64, shape, elements=VALUES, fill=st.just(1.0)))
    segmentation = segmentation_of(labels, spacing_mm, subject=Subject.LESION)
    volume: Volume = volume_of(values, spacing_mm)
    found = joined((size.measure(volume, segmentation, SPEC), intensity.measure(volume, segmentation, "CT", unit)))
    numbers = [(row.segment_number, row.name, row.derivation, row.method) for row in found.measurements]
    lacking = [(row.segment_number, row.name, row.derivation, row.method) for row in found.absent]
    assert len({*numbers, *lacking}) == len(numbers) + len(lacking)
    assert all(math.isfinite(row.value) and type(row.value) is float for row in found.measurements)
    assert all(math.isfinite(x) for row in found.measurements for point in row.points_mm for x in point)
    assert {row.reason.value for row in found.absent} <= REASONS
    assert all(row.text for row in found.absent)
    sizes = {(row.segment_number, row.name): row.value for row in found.measurements}
    for number in (1, 2, 3):
        if (number, codes.LONG_AXIS) in sizes:
            assert sizes[number, codes.SHORT_AXIS] <= sizes[number, codes.LONG_AXIS] * (1 + 1e-9)
        if (number, codes.DIAMETER_3D) in sizes and (number, codes.LONG_AXIS) in sizes:
            assert sizes[number, codes.LONG_AXIS] <= sizes[number, codes.DIAMETER_3D] * (1 + 1e-9)
    chosen = targets.select(lesions.of(segmentation, found.measurements, str), SPEC)
    assert sum(one.target for one in chosen) <= 2
