"""How much of the first series a companion covers, against volumes of which it is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from highdicom import Volume

from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.quality.companion import PAIRED, covered
from tests.headers import series


def cube(start_mm: tuple[float, float, float], counts: tuple[int, int, int], spacing_mm: float) -> SourceSeries:
    """An axial volume whose outer corner of lowest x, y, z lies at `start_mm`; counts of (slice, row, column)."""
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing_mm
    affine[:3, 3] = np.array(start_mm) + spacing_mm / 2
    affine[3, 3] = 1
    volume = Volume(array=np.zeros(counts, np.int16), affine=affine, coordinate_system="PATIENT")
    return replace(series(), volume=volume)


FIRST = cube((0, 0, 0), (40, 40, 40), 2.0)


@pytest.mark.parametrize(
    ("companion", "share"),
    [
        (cube((0, 0, 0), (20, 20, 20), 4.0), 1.0),
        (cube((-40, -40, -40), (40, 40, 40), 4.0), 1.0),
        (cube((0, 0, 40), (20, 20, 20), 4.0), 0.5),
        (cube((0, 20, 40), (20, 20, 20), 4.0), 0.375),
        (cube((0, 0, 500), (20, 20, 20), 4.0), 0.0),
        (cube((1000, 0, 0), (20, 20, 20), 4.0), 0.0),
        (cube((20, 20, 20), (10, 10, 10), 4.0), 0.125),
    ],
)
def test_the_share_is_that_of_the_first_volume(companion: SourceSeries, share: float) -> None:
    assert covered(FIRST, companion) == pytest.approx(share, abs=1e-9)


def test_the_share_does_not_depend_on_how_a_volume_is_stored() -> None:
    companion = cube((0, 0, 20), (20, 20, 20), 4.0)
    for flipped in (companion.volume.flip_spatial(0), companion.volume.permute_spatial_axes([1, 2, 0])):
        assert covered(FIRST, replace(companion, volume=flipped)) == pytest.approx(0.75)


def test_a_part_is_told_in_percent() -> None:
    outcome = PAIRED["companion_coverage"](FIRST, cube((0, 0, 40), (20, 20, 20), 4.0), 0.95)
    assert (outcome.passed, outcome.found, outcome.needed) == (
        False,
        "50 % of the first input covered",
        "95 % or more",
    )
