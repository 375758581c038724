"""Every lesion comes with how certain the network is of it, where the bundle asks for that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from highdicom import Volume

from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.answer import answer
from dicomnode.infer.certainty import CERTAINTY
from dicomnode.infer.network.session import Sessions
from tests.unit.infer.small import bundle, mixing

AsSource = Callable[[Volume], SourceSeries]
REST = '[[post]]\nstep = "lesions"\nsegments = [1]\ninto = [2]\n'


@pytest.mark.parametrize("maps", [False, True])
def test_the_certainty_of_a_lesion_is_the_mean_probability_of_its_voxels(
    maps: bool, phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    spotted = np.full_like(phantom.array, -1000)
    spotted[3:6, 3:6, 3:6], spotted[9:11, 9:11, 9:11] = 0, 200
    spotted[9, 9, 9] = 600
    content = mixing([[0.0], [10.0]], [0.0, -4.0])
    spec = bundle(tmp_path, "segment", content, labels=1, derived=1, rest=REST + "certainty = true\n")
    found = answer([as_source(phantom.with_array(spotted))], spec, Sessions(threads=1), maps=maps)
    scaled: Sequence[float] = [(value + 1000) / 2000 for value in (0, 200, 600)]
    one, other, brightest = (1 / (1 + np.exp(4.0 - 10 * value)) for value in scaled)
    assert [row.segment_number for row in found.measurements] == [1, 2]
    assert {row.name for row in found.measurements} == {CERTAINTY}
    assert found.measurements[0].value == pytest.approx(100 * one, abs=0.01)
    assert found.measurements[1].value == pytest.approx(100 * (7 * other + brightest) / 8, abs=0.01)
    assert bool(found.maps) == maps


def test_nobody_is_told_a_certainty_that_the_bundle_does_not_ask_for(
    phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    spec = bundle(tmp_path, "segment", mixing([[0.0], [10.0]], [0.0, -4.0]), labels=1, derived=1, rest=REST)
    assert answer([as_source(phantom)], spec, Sessions(threads=1)).measurements == ()
