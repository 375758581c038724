"""Every number that size and intensity can emit, against the values that were committed with them."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Segmentation
from dicomnode.domain.measuring import MeasureSpec, PartSpec
from dicomnode.domain.model import Subject
from dicomnode.measure import intensity, size
from dicomnode.measure.measured import joined

from .conftest import phantom_arrays, segmentation_of, volume_of

BASELINE = Path(__file__).resolve().parents[2] / "baselines" / "lesions_phantom.csv"
SOLID = PartSpec(
    name="solid",
    label="solid part",
    type=Code(value="4147007", scheme="SCT", meaning="Mass"),
    range=(-60.0, 60.0),
    minimum_volume_ml=0.005,
)


def measured() -> dict[tuple[str, str, str, str], float]:
    """The phantom's first blob as a lung with the second as a lesion in it, in CT and as if its values were uptake."""
    array, labels = phantom_arrays()
    labels[:, 30:46, 30:50][labels[:, 30:46, 30:50] == 0] = 1
    lung, _, lesion = segmentation_of(labels).segments
    segmentation = Segmentation(
        volume=volume_of(labels), segments=(lung, dataclasses.replace(lesion, subject=Subject.LESION))
    )
    uptake = volume_of(np.abs(array) / 10)
    found = joined(
        (
            size.measure(volume_of(array), segmentation, MeasureSpec(lungs=(1,), parts=(SOLID,))),
            intensity.measure(volume_of(array), segmentation, "CT"),
            intensity.measure(uptake, segmentation, "PT", "g/ml{SUVbw}"),
        )
    )
    (cut_off,) = found.absent
    assert (cut_off.segment_number, cut_off.name.value) == (1, "RNU0"), "the lung reaches the edge of the phantom"
    rows = {}
    for row in found.measurements:
        how = row.derivation or row.method
        rows[str(row.segment_number), row.name.meaning, how.meaning if how else "", row.unit.value] = row.value
    assert len(rows) == len(found.measurements)
    return rows


def test_every_number_is_that_of_the_baseline() -> None:
    with BASELINE.open(newline="") as file:
        expected = {
            (row["segment"], row["name"], row["how"], row["unit"]): float(row["value"]) for row in csv.DictReader(file)
        }
    found = measured()
    assert set(found) == set(expected)
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-9), key
