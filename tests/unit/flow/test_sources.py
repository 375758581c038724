"""Series are read in the unit that the bundle asks for, and remarks name the input that they concern."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicomnode.domain.model import CheckSpec, InputSpec, ModelSpec, unavailable
from dicomnode.flow.sources import read, remarks
from tests.series import classic
from tests.series.header import Place
from tests.series.scan import upright


@pytest.fixture
def pet(tmp_path: Path) -> list[Path]:
    scan = upright(np.full((8, 8, 4), 100, np.int16), (2.0, 2.0, 4.0), (0.0, 0.0, 0.0))
    paths = []
    for number, ds in enumerate(classic.pet(scan, Place(study="s", more={"PatientSize": "1.7"}))):
        paths.append(tmp_path / f"{number}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    return paths


def model(*names: str, **limit: Any) -> ModelSpec:
    inputs = tuple(InputSpec(name=name, conditions=()) for name in names)
    valid = (CheckSpec(rule="units", **limit),) if limit else ()
    return replace(unavailable("m"), inputs=inputs, valid=valid)


@pytest.mark.parametrize(
    ("limit", "unit"),
    [
        ({}, "g/ml{SUVbw}"),
        ({"limit": ("cm2/ml{SUVbsa}",)}, "cm2/ml{SUVbsa}"),
        ({"limit": ("g/ml{SUVlbm(Janma)}", "g/ml{SUVbw}")}, "g/ml{SUVlbm(Janma)}"),
        ({"limit": ("cm2/ml{SUVbsa}",), "input": "ct"}, "g/ml{SUVbw}"),
    ],
)
def test_pet_becomes_the_kind_of_suv_that_its_limit_names_first(
    pet: list[Path], limit: dict[str, Any], unit: str
) -> None:
    told: list[Any] = []
    (source,) = read({"pet": pet}, model("pet", **limit), lambda *step: told.append(step))
    assert source.unit == unit and told == [(1, 1)]


def test_a_remark_names_its_input_where_there_are_several(pet: list[Path]) -> None:
    (source,) = read({"pet": pet}, model("pet"), lambda *_step: None)
    strange = replace(source, warnings=("odd",))
    assert list(remarks([strange], model("pet"))) == ["odd"]
    assert list(remarks([source, strange], model("ct", "pet")))[-1] == "pet: odd"
