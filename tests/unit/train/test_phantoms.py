"""Phantoms are reproducible, anatomically sided, and known in position."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from dicomnode.train.phantoms import LEFT, RIGHT, Phantom, thorax


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return thorax(7, spacing_mm=(8.0, 3.0, 3.0), shape=(36, 128, 128), variety=0.0)


def test_the_same_seed_gives_the_same_phantom_to_the_last_bit() -> None:
    first, second = (thorax(11, spacing_mm=(8, 4, 4), shape=(8, 96, 96), variety=1.0) for _ in range(2))
    assert np.array_equal(first.hounsfield, second.hounsfield)
    assert np.array_equal(first.labels, second.labels)


def test_another_seed_gives_another_phantom() -> None:
    first, second = (thorax(seed, spacing_mm=(8, 4, 4), shape=(8, 96, 96)) for seed in (1, 2))
    assert not np.array_equal(first.labels, second.labels)


def test_one_seed_is_one_patient_whatever_the_grid() -> None:
    fine = thorax(5, spacing_mm=(8, 2, 2), shape=(5, 193, 193), variety=0.3)
    coarse = thorax(5, spacing_mm=(8, 4, 4), shape=(5, 97, 97), variety=0.3)
    same = fine.labels[:, ::2, ::2] == coarse.labels
    assert same.mean() > 0.999


def test_the_right_lung_lies_at_smaller_x_than_the_left(phantom: Phantom) -> None:
    right, left = (np.nonzero(phantom.labels == label)[2].mean() for label in (RIGHT, LEFT))
    assert right < left


def test_the_heart_lies_left_of_the_midline(phantom: Phantom) -> None:
    volume_ml = np.prod(phantom.spacing_mm) / 1000
    right, left = (float((phantom.labels == label).sum() * volume_ml) for label in (RIGHT, LEFT))
    assert right > left
    assert 800 < left < 4000


def test_the_apex_is_towards_the_last_slice(phantom: Phantom) -> None:
    area = (phantom.labels > 0).sum(axis=(1, 2))
    occupied = np.nonzero(area)[0]
    assert area[occupied[-1]] < area[occupied].max() / 4
    body = (phantom.hounsfield > -300).sum(axis=(1, 2))
    assert body[0] > body[-1]


def test_lungs_are_air_and_what_surrounds_them_is_not(phantom: Phantom) -> None:
    lung = phantom.hounsfield[phantom.labels > 0]
    assert -900 < np.median(lung) < -750
    rows, columns = phantom.hounsfield.shape[1:]
    wall = phantom.hounsfield[:, rows // 2, columns // 2]
    assert np.median(wall) > -150


def test_both_lungs_end_inside_the_default_field_of_view() -> None:
    whole = thorax(3, spacing_mm=(10, 4, 4), shape=(30, 96, 96))
    for edge in (whole.labels[0], whole.labels[-1], whole.labels[:, 0], whole.labels[:, :, 0], whole.labels[:, :, -1]):
        assert not edge.any()


def test_nothing_is_labelled_where_the_field_of_view_cuts_the_body_off() -> None:
    for seed in range(1, 9):
        small = thorax(seed, spacing_mm=(10, 4, 4), shape=(3, 128, 128), variety=1.0)
        outside = (small.hounsfield <= -1024).all(axis=0)
        assert not small.labels[:, outside].any()


def test_the_module_needs_no_torch() -> None:
    code = "import sys, dicomnode.train.phantoms, dicomnode.train.series; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
