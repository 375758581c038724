"""Phantom volumes and masks for the measure room, the same numbers in every run."""

from __future__ import annotations

import numpy as np
import pytest
from highdicom import Volume
from numpy.typing import NDArray

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Segmentation
from dicomnode.domain.model import Segment, Subject

SPACING_MM = (2.5, 0.8, 0.7)


def volume_of(array: NDArray[np.generic], spacing_mm: tuple[float, float, float] = SPACING_MM) -> Volume:
    """An axial volume in LPS mm."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *spacing_mm, 1.0
    affine[:3, 3] = (-90.0, -120.0, 35.0)
    return Volume(array=array, affine=affine, coordinate_system="PATIENT", frame_of_reference_uid="1.2.3")


def segmentation_of(
    labels: NDArray[np.uint8],
    spacing_mm: tuple[float, float, float] = SPACING_MM,
    *,
    described: int = 3,
    subject: Subject = Subject.STRUCTURE,
) -> Segmentation:
    """Segments 1 … `described` called S1, S2, …"""
    segments = tuple(
        Segment(
            number=number,
            label=f"S{number}",
            category=Code(value="49755003", scheme="SCT", meaning="Morphologically Abnormal Structure"),
            type=Code(value="4147007", scheme="SCT", meaning="Mass"),
            subject=subject,
        )
        for number in range(1, described + 1)
    )
    return Segmentation(volume=volume_of(labels, spacing_mm), segments=segments)


def phantom_arrays() -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """CT-like intensities in HU and two blobs, labelled 1 and 3; shape (30, 48, 52)."""
    shape = (30, 48, 52)
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    rng = np.random.default_rng(20260101)
    intensity = 60 * np.sin(z / 3) + 45 * np.cos(y / 5 + x / 7) + rng.normal(0, 20, shape) - 20
    labels = np.zeros(shape, dtype=np.uint8)
    labels[((z - 14) / 7) ** 2 + ((y - 20) / 9) ** 2 + ((x - 22) / 11) ** 2 + 0.1 * np.sin(x) < 1] = 1
    labels[((z - 15) / 3) ** 2 + ((y - 38) / 4) ** 2 + ((x - 41) / 5) ** 2 < 1] = 3
    return np.round(intensity).astype(np.int16), labels


@pytest.fixture(scope="session")
def phantom() -> tuple[Volume, Segmentation]:
    """Segments 1 and 3 have voxels, segment 2 is described and absent."""
    intensity, labels = phantom_arrays()
    return volume_of(intensity), segmentation_of(labels)
