"""Nuclear medicine: reconstructed slices are placed along the signed spacing, projections have no place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from highdicom import Volume
from pydicom import Dataset

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.series import read_stacks
from dicomnode.infer.read.volume import read_series

Saved = Callable[[list[Dataset]], list[Path]]
Tomogram = Callable[..., Dataset]


@pytest.mark.parametrize("sign", [1, -1])
def test_the_sign_of_the_spacing_is_the_direction_of_the_slices(
    oriented: Volume, tomogram: Tomogram, saved: Saved, sign: int
) -> None:
    # The normal of a left-handed volume points against its slices.
    handed = sign * int(np.sign(np.linalg.det(oriented.affine[:3, [2, 1, 0]])))
    ds = tomogram([oriented], sign=sign)
    ds.SpacingBetweenSlices = handed * oriented.spacing[0]
    found = read_series(saved([ds]))
    first, second = (volume.to_patient_orientation("HPL") for volume in (found.volume, oriented))
    assert np.array_equal(first.array, second.array)
    assert np.allclose(first.affine, second.affine, atol=1e-5)
    assert found.unit == "{counts}"
    assert "names no frame of reference" in found.warnings[0]


def test_gated_slots_are_stacks(phantom: Volume, tomogram: Tomogram, saved: Saved) -> None:
    later = phantom.with_array((phantom.array + 7).astype(np.int16))
    found = read_stacks(saved([tomogram([phantom, later], kind="RECON GATED TOMO")]))
    assert [stack.label for stack in found.stacks] == ["time slot 1 of 2 (index 1)", "time slot 2 of 2 (index 2)"]
    assert np.array_equal(found.stacks[1].read().volume.array, later.array)


@pytest.mark.parametrize("kind", ["STATIC", "WHOLE BODY", "DYNAMIC", "TOMO"])
def test_projections_are_refused_with_their_type(phantom: Volume, tomogram: Tomogram, saved: Saved, kind: str) -> None:
    with pytest.raises(Unsuitable, match=f"image of type {kind}, which has no slices in space"):
        read_series(saved([tomogram([phantom], kind=kind)]))


@pytest.mark.parametrize(
    "keyword", ["SliceVector", "SpacingBetweenSlices", "PixelSpacing", "DetectorInformationSequence"]
)
def test_a_tomogram_without_its_geometry_is_refused(
    phantom: Volume, tomogram: Tomogram, saved: Saved, keyword: str
) -> None:
    ds = tomogram([phantom])
    delattr(ds, keyword)
    with pytest.raises(Unsuitable, match=f"no {keyword}"):
        read_series(saved([ds]))


def test_a_slice_vector_of_another_length_is_refused(phantom: Volume, tomogram: Tomogram, saved: Saved) -> None:
    ds = tomogram([phantom])
    ds.SliceVector = [1, 2, 3]
    with pytest.raises(Unsuitable, match="3 values of the slice vector, needed 14"):
        read_series(saved([ds]))
