"""Registration recovers a known movement and deformation, and knows when it did not."""

from __future__ import annotations

import numpy as np
import pytest

from dicomnode.measure.change.register import GOOD_CORRELATION, inside, register
from tests.unit.measure.change.body import back, forth, volume

#: Places in lungs, liver, heart and spine, LPS mm.
PLACES = np.array([
    (-70, 0, 0), (-80, 30, 40), (-60, -40, -50), (68, 5, -8), (75, 30, 50), (60, -30, -40), (20, -25, -30), (0, 62, 20),
    (-60, 0, -85), (0, 0, 60),
], float)  # fmt: skip


def test_a_movement_with_a_bend_is_recovered_between_series_of_different_slice_spacing() -> None:
    before, now = volume((5.0, 3.5, 3.5), "1.2.1"), volume((3.0, 3.0, 3.0), "1.2.2", back)
    found = register(before, now)
    misses = [np.linalg.norm(np.array(found.place(tuple(place))) - forth(place)) for place in PLACES]
    assert found.good and found.shift_mm > 20
    # Half the 4 mm voxels of the registration on the average, one and a half at the worst.
    assert np.mean(misses) < 2.0 and max(misses) < 6.0, misses
    again = register(before, now)
    assert [again.place(tuple(place)) for place in PLACES] == [found.place(tuple(place)) for place in PLACES]


def test_images_of_one_frame_of_reference_are_left_as_they_are() -> None:
    one, other = volume((8.0, 8.0, 8.0), "1.2.1"), volume((8.0, 8.0, 8.0), "1.2.1", back)
    found = register(one, other)
    assert found.good and found.place((1.0, 2.0, 3.0)) == (1.0, 2.0, 3.0)


def test_what_is_not_the_same_body_is_called_a_poor_registration() -> None:
    now = volume((5.0, 4.0, 4.0), "1.2.2")
    other = now.with_array(np.random.default_rng(2).normal(0, 300, now.array.shape).astype(np.int16))
    found = register(volume((5.0, 4.0, 4.0), "1.2.1"), other)
    assert not found.good and found.correlation < GOOD_CORRELATION


def test_nothing_to_register_is_an_error_in_words() -> None:
    flat = volume((8.0, 8.0, 8.0), "1.2.1")
    with pytest.raises(ValueError, match="registration failed"):
        register(flat, volume((40.0, 120.0, 170.0), "1.2.2", lambda points: points + 5000.0))


def test_inside_is_where_voxels_are() -> None:
    grid = volume((8.0, 8.0, 8.0), "1.2.1")
    first = tuple(float(value) for value in np.asarray(grid.affine)[:3, 3])
    assert inside(grid, (first[0] - 3.9, first[1], first[2])) and not inside(grid, (first[0] - 4.1, first[1], first[2]))
