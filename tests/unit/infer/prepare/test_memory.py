"""Preparing takes at most six times the memory of the series, whichever step is taken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dicomnode.infer.prepare.steps import GRIDS, JOINT, VALUES
from tests.unit.infer.prepare.memory import RECIPES

ROOT = Path(__file__).resolve().parents[4]

#: Makes glibc give every large array back as soon as it is freed (mallopt(3)), so that steps do not hide each other's.
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}


def test_every_step_is_measured() -> None:
    assert set(RECIPES) == {*GRIDS, *VALUES, *JOINT}
    assert all(recipe[-1].name == name for name, recipe in RECIPES.items())


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from proc(5)")
@pytest.mark.parametrize(
    ("slices", "names"),
    # What is treated at a time does not grow with the image and weighs more with few slices; that of a spline most.
    [("72", sorted({*RECIPES} - {"resample"})), ("120", ["resample"])],
    ids=["all others", "spline"],
)
def test_no_step_takes_more_than_six_times_the_source(slices: str, names: list[str]) -> None:
    command = [sys.executable, "-m", "tests.unit.infer.prepare.memory", slices, *names]
    environment = {**os.environ, **GIVEN_BACK}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    ratios: dict[str, float] = json.loads(done.stdout)
    assert set(ratios) == set(names)
    assert {name: ratio for name, ratio in ratios.items() if ratio > 6} == {}
