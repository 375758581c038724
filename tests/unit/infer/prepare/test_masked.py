"""Normalisation inside a mask with a stated value outside, as networks for brain MR are trained (nnU-Net)."""

from __future__ import annotations

import numpy as np
import pytest
from highdicom import Volume

from dicomnode.infer.prepare import normalise
from dicomnode.infer.prepare.pipeline import prepare
from tests.unit.infer.prepare.conftest import image, model, step

RANDOM = np.random.default_rng(3)
BRAIN = np.hypot(*np.indices((20, 21)) - 10.0) < 8
AXIAL = np.array([[0, 0, 1.0, 0], [0, 1.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 0, 1.0]])


def stripped(kind: str = "int16", *, brain: np.ndarray = BRAIN) -> Volume:
    """A brain whose surroundings were set to 0."""
    array = np.where(brain, RANDOM.normal(500, 80, (5, 20, 21)), 0).astype(kind)
    return Volume(array=array, affine=AXIAL, coordinate_system="PATIENT")


@pytest.mark.parametrize("kind", ["int16", "float32"])
def test_zscore_inside_the_foreground_leaves_zero_outside(kind: str) -> None:
    volume = stripped(kind)
    found = prepare([volume], model(step("zscore", over="foreground", outside=0.0))).array[0]
    inside = volume.array[:, BRAIN].astype(np.float64)
    assert np.allclose(found[:, BRAIN], (inside - inside.mean()) / inside.std(), atol=1e-4)
    assert (found[:, ~BRAIN] == 0).all()


def test_minmax_and_percentiles_take_a_value_outside_too() -> None:
    volume = stripped()
    inside = volume.array[:, BRAIN]
    ranged = prepare([volume], model(step("minmax", over="foreground", to=(-1.0, 1.0), outside=-3.0))).array[0]
    assert np.allclose([ranged[:, BRAIN].min(), ranged[:, BRAIN].max()], [-1, 1])
    assert (ranged[:, ~BRAIN] == -3).all()
    ends = np.percentile(inside, [5, 95])
    recipe = step("clip_percentiles", percentiles=(5.0, 95.0), over="foreground", outside=0.0)
    limited = prepare([volume], model(recipe)).array[0]
    assert np.allclose(limited[:, BRAIN], np.clip(inside, *ends), atol=1e-3)
    assert (limited[:, ~BRAIN] == 0).all()


def test_a_mask_that_a_step_found_has_an_outside_as_well() -> None:
    array = RANDOM.normal(50, 9, (3, 4, 5)).astype(np.float32)
    body = RANDOM.random(array.shape) > 0.4
    found = normalise.zscore(image(array, body=body), over="body", outside=-5.0).array
    assert (found[~body] == -5).all()
    assert found[body].mean() == pytest.approx(0, abs=1e-5)


def test_the_foreground_is_what_was_not_zero_when_first_asked_for() -> None:
    volume = stripped()
    steps = [
        step("clip_percentiles", percentiles=(1.0, 99.0), over="foreground"),
        step("zscore", over="foreground"),
        step("set_outside", over="foreground", value=0.0),
    ]
    found = prepare([volume], model(*steps)).array[0]
    inside = volume.array[:, BRAIN]
    limited = np.clip(inside, *np.percentile(inside, [1, 99]))
    assert np.allclose(found[:, BRAIN], (limited - limited.mean()) / limited.std(), atol=1e-3)
    assert (found[:, ~BRAIN] == 0).all()


def test_every_input_has_its_own_foreground() -> None:
    left = BRAIN & (np.arange(21) < 12)
    volumes = [stripped(), stripped(brain=left)]
    recipe = model(step("zscore", over="foreground", outside=0.0), inputs=("t1", "t2"))
    first, second = prepare(volumes, recipe).array
    assert np.array_equal((first != 0).any(axis=0), BRAIN)
    assert np.array_equal((second != 0).any(axis=0), left)
    assert second[:, left].mean() == pytest.approx(0, abs=1e-5)


def test_an_image_is_cropped_to_its_foreground() -> None:
    volume = stripped()
    found = prepare([volume], model(step("crop_to_mask", around="foreground")))
    rows, columns = np.flatnonzero(BRAIN.any(axis=1)), np.flatnonzero(BRAIN.any(axis=0))
    assert found.shape == (5, len(rows), len(columns))
    assert np.array_equal(found.array[0], volume.array[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def test_the_source_keeps_its_values() -> None:
    volume = stripped("float32")
    before = volume.array.copy()
    prepare([volume], model(step("zscore", over="foreground", outside=7.0)))
    assert np.array_equal(volume.array, before)
