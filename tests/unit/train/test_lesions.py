"""Lesions lie where their kind says, look as it says, and are masked as they were drawn."""

from __future__ import annotations

import numpy as np
import pytest

from dicomnode.train.draw import Draw
from dicomnode.train.lesion_shape import Blob, box_round
from dicomnode.train.lesions import Kind, Site, add_lesions
from dicomnode.train.phantoms import Phantom, thorax
from dicomnode.train.shapes import Grid

GRID = Grid(shape=(30, 60, 60), spacing_mm=(3.0, 2.0, 2.0), centre_mm=(0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def ill() -> Phantom:
    return thorax(21, spacing_mm=(8.0, 4.0, 4.0), shape=(32, 70, 90), variety=1.0, lesions=8)


def lung_alone() -> tuple[np.ndarray, np.ndarray, Site]:
    """Parenchyma up to the chest wall at x = 40 mm and back to y = -40 mm, where the mediastinum begins."""
    far = np.full(GRID.shape, 200.0, dtype=np.float32)
    x = np.broadcast_to(GRID.axis_mm(2)[None, None, :], GRID.shape).astype(np.float32)
    y = np.broadcast_to(GRID.axis_mm(1)[None, :, None], GRID.shape).astype(np.float32)
    site = Site(pleura=np.maximum(x - 40, -40 - y), mediastinum=y + 40, cage=-far, spared=far)
    labels = (site.pleura < 0).astype(np.uint8)
    return np.full(GRID.shape, -850.0, dtype=np.float32), labels, site


def drawn(kind: Kind, seed: int, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, mask and labels of one lesion of a kind in otherwise empty lung."""
    monkeypatch.setattr("dicomnode.train.lesions._kind", lambda draw: kind)
    image, labels, site = lung_alone()
    mask, lesions = add_lesions(Draw(seed, "lesions", 0.0), GRID, site, image, labels, 1.8, 1)
    assert [one.kind for one in lesions] == [kind]
    assert lesions[0].volume_ml == pytest.approx((mask > 0).sum() * 0.012)
    return image, mask, labels


def test_the_same_seed_gives_the_same_lesions(ill: Phantom) -> None:
    again = thorax(21, spacing_mm=(8.0, 4.0, 4.0), shape=(32, 70, 90), variety=1.0, lesions=8)
    assert ill.lesions is not None and again.lesions is not None
    assert np.array_equal(ill.lesions, again.lesions)
    assert np.array_equal(ill.hounsfield, again.hounsfield)


def test_the_list_tells_what_the_mask_holds(ill: Phantom) -> None:
    assert ill.lesions is not None
    voxel_ml = float(np.prod(ill.spacing_mm)) / 1000
    for lesion in ill.drawn:
        assert lesion.volume_ml == pytest.approx((ill.lesions == lesion.number).sum() * voxel_ml, rel=0.3)
    assert {one.number for one in ill.drawn} >= set(np.unique(ill.lesions)) - {0}


def test_masses_are_no_lung_and_labels_stay_right_and_left(ill: Phantom) -> None:
    assert ill.lesions is not None
    assert set(np.unique(ill.labels)) == {0, 1, 2}
    masses = [one.number for one in ill.drawn if one.diameter_mm >= 30]
    assert masses
    assert not ill.labels[np.isin(ill.lesions, masses)].any()


def test_a_phantom_without_lesions_is_as_it_always_was() -> None:
    usual = thorax(21, spacing_mm=(8.0, 4.0, 4.0), shape=(6, 70, 80), variety=1.0)
    assert usual.lesions is None
    assert usual.drawn == ()


@pytest.mark.parametrize("kind", [Kind.SOLID, Kind.SPICULATED, Kind.PLEURAL])
def test_solid_lesions_are_as_dense_as_soft_tissue(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask, _ = drawn(kind, 4, monkeypatch)
    assert -60 < np.median(image[mask > 0]) < 130
    assert image[mask == 0].max() < 130


def test_ground_glass_lets_the_lung_shine_through(monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask, _ = drawn(Kind.GROUND_GLASS, 2, monkeypatch)
    assert -760 < np.median(image[mask > 0]) < -300


def test_a_part_solid_lesion_has_both(monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask, _ = drawn(Kind.PART_SOLID, 3, monkeypatch)
    inside = image[mask > 0]
    assert (inside > -200).any()
    assert np.median(inside) < -200


def test_a_cavity_holds_air_and_belongs_to_the_lesion(monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask, _ = drawn(Kind.CAVITATED, 8, monkeypatch)
    inside = image[mask > 0]
    assert inside.min() < -870
    assert inside.max() > -60


def test_pleural_lesions_touch_the_pleura_and_mediastinal_ones_grow_beyond_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, site = lung_alone()
    beyond = 0
    for seed in range(6):
        _, mask, _ = drawn(Kind.MEDIASTINAL, seed, monkeypatch)
        assert site.mediastinum[mask > 0].min() < 12
        beyond += int(((mask > 0) & (site.pleura > 3)).any())
        _, mask, labels = drawn(Kind.SOLID, seed, monkeypatch)
        assert not ((mask > 0) & (site.pleura > 0.1)).any()
        assert labels.max() == 1
    # Chances are scaled by the variety, which is 0 here.
    assert beyond == 0
    monkeypatch.setattr(Draw, "chance", lambda self, probability: probability > 0.5)
    _, mask, _ = drawn(Kind.MEDIASTINAL, 1, monkeypatch)
    assert ((mask > 0) & (site.pleura > 0)).any()


def test_without_lung_there_is_no_lesion() -> None:
    image, labels, site = lung_alone()
    mask, lesions = add_lesions(Draw(1, "lesions"), GRID, site, image, labels * 0, 1.8, 5)
    assert lesions == ()
    assert not mask.any()


def test_a_blob_without_waves_is_an_ellipsoid_of_its_radius() -> None:
    blob = Blob(
        radius_mm=12.0, waves=np.zeros((1, 3)), phases=np.zeros(1), heights=np.zeros(1),
        flat=np.array([0.0, 0.0, 1.0]), flatness=0.5,
    )  # fmt: skip
    inside = blob.distance([GRID.axis_mm(axis) for axis in range(3)]) <= 0
    assert inside.sum() * 0.012 == pytest.approx(4 / 3 * np.pi * 12**3 * 0.5 / 1000, rel=0.03)


def test_a_box_reaches_as_far_as_asked_and_ends_with_the_image() -> None:
    box = box_round(GRID, (0.0, 59.0, 0.0), 10.0)
    assert [side.stop - side.start for side in box] == [6, 6, 10]
    assert box[1].stop == 60
