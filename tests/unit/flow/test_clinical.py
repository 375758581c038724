"""Facts about the patient reach a model as numbers, or are missed by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from highdicom import Volume
from pydicom import Dataset

from dicomnode.domain.finding import SourceSeries, planes_of
from dicomnode.flow.clinical import clinical


def source(**attributes: Any) -> SourceSeries:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    volume = Volume(np.zeros((1, 2, 2), np.int16), np.eye(4), coordinate_system="PATIENT")
    return SourceSeries(volume=volume, planes=planes_of([ds]))


def features(*names: str, **attributes: Any) -> dict[str, float]:
    return clinical(names, [source(**attributes)])


@pytest.mark.parametrize(
    ("name", "attributes", "expected"),
    [
        ("PatientAge", {"PatientAge": "063Y"}, 63.0),
        ("PatientAge", {"PatientAge": "018M"}, 1.5),
        ("PatientAge", {"PatientAge": "026W"}, pytest.approx(0.5, abs=0.01)),
        ("PatientAge", {"PatientAge": "073D"}, pytest.approx(0.2, abs=0.001)),
        ("PatientAge", {"PatientBirthDate": "19630101", "StudyDate": "20260101"}, pytest.approx(63.0, abs=0.01)),
        ("PatientSex", {"PatientSex": "M"}, 1.0),
        ("PatientSex", {"PatientSex": "F"}, 0.0),
        ("PatientWeight", {"PatientWeight": "71.5"}, 71.5),
        ("PatientSize", {"PatientSize": "1.8"}, 1.8),
        ("KVP", {"KVP": "120"}, 120.0),
    ],
)
def test_a_feature_is_a_number_in_the_unit_of_its_attribute(
    name: str, attributes: dict[str, Any], expected: float
) -> None:
    assert features(name, **attributes) == {name: expected}


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("PatientAge", {}),
        ("PatientAge", {"PatientAge": "", "PatientBirthDate": "", "StudyDate": "20260101"}),
        ("PatientSex", {"PatientSex": "O"}),
        ("PatientWeight", {"PatientWeight": ""}),
        ("PatientName", {"PatientName": "DONT^LOGME"}),
        ("ImagePositionPatient", {"ImagePositionPatient": [0, 0, 0]}),
        ("original_shape_MeshVolume", {}),
    ],
)
def test_what_the_headers_do_not_say_is_left_out(name: str, attributes: dict[str, Any]) -> None:
    assert features(name, "KVP", KVP="100", **attributes) == {"KVP": 100.0}


def test_what_the_first_input_does_not_say_a_companion_may() -> None:
    sources = [source(PatientAge="050Y"), source(PatientAge="051Y", PatientWeight="80")]
    assert clinical(["PatientWeight", "PatientAge"], sources) == {"PatientWeight": 80.0, "PatientAge": 50.0}
