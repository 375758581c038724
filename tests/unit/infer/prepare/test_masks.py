"""Body and lungs: on a drawn chest, whose parts are known, and on a patient with an expert's contours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from highdicom import Volume
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture
from PIL import ImageDraw
from pydicom import Dataset
from scipy import ndimage

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare import morphology
from dicomnode.infer.prepare.body import body_mask, set_outside
from dicomnode.infer.prepare.grid import Grid
from dicomnode.infer.prepare.image import Image
from dicomnode.infer.prepare.lungs import lungs
from dicomnode.infer.prepare.pipeline import prepare
from dicomnode.infer.read.volume import read_series
from tests.unit.infer.prepare.conftest import ORDERS, image, model, step, stored_as

Mask = npt.NDArray[np.bool_]

#: Window, in-plane spacing, isolation, bins and matrix of DuneAI (Primakov 2022, Nat. Commun. 13:3423).
CHEST_CT = model(
    step("reorient", orientation="axial"),
    step("resample", spacing_mm=(1.0, 1.0), axes="source", interpolation="nearest", outside=-1000.0),
    step("lungs", outside=-1000.0),
    step("crop_or_pad", shape=(0, 512, 512), outside=-1000.0),
    step("window", centre=-600.0, width=1500.0),
    step("bins", count=256, range=(0.0, 1.0)),
)


def ellipse(shape: tuple[int, int, int], row: float, column: float, rows: float, columns: float) -> Mask:
    _, r, c = np.indices(shape)
    return np.asarray(((r - row) / rows) ** 2 + ((c - column) / columns) ** 2 <= 1)


@pytest.fixture(scope="module")
def chest() -> dict[str, Mask]:
    """Parts of a chest of 12 slices of 5 mm with 2 mm pixels; the left lung is full of fluid."""
    shape = (12, 128, 160)
    parts = {
        "body": ellipse(shape, 60, 82, 42, 62),
        "right": ellipse(shape, 58, 55, 26, 17),
        "left": ellipse(shape, 58, 109, 26, 17),
        "spine": ellipse(shape, 90, 82, 7, 9),
        "couch": (np.abs(np.indices(shape)[1] - 107) <= 1) | (np.abs(np.indices(shape)[1] - 120) <= 1),
    }
    parts["right"][[0, -1]] = False
    parts["left"][[0, -1]] = False
    return parts


@pytest.fixture(scope="module")
def scan(chest: dict[str, Mask]) -> Volume:
    array = np.full(chest["body"].shape, -1000, dtype=np.int16)
    array[chest["couch"]] = 100
    array[chest["body"]] = 40
    array[chest["right"]] = -850
    array[chest["left"]] = 10
    array[chest["spine"]] = 500
    array += np.random.default_rng(2).normal(0, 15, array.shape).astype(np.int16)
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = (5.0, 2.0, 2.0)
    affine[3, 3] = 1
    return Volume(array=array, affine=affine, coordinate_system="PATIENT")


def of(volume: Volume) -> Image:
    return Image(array=volume.array, grid=Grid.of(volume))


@pytest.mark.parametrize("order", ORDERS[::5])
def test_the_body_is_found_without_the_couch_however_it_is_stored(
    scan: Volume, chest: dict[str, Mask], order: tuple[tuple[int, ...], tuple[bool, ...]]
) -> None:
    turned = stored_as(scan, *order)
    found = body_mask(of(turned), outside=-1000.0)
    truth = stored_as(scan.with_array(chest["body"].astype(np.uint8)), *order).array > 0
    assert 2 * (found.mask("body") & truth).sum() / (found.mask("body").sum() + truth.sum()) > 0.99
    assert (found.array[~ndimage.binary_dilation(truth, iterations=2)] == -1000).all()
    assert np.array_equal(found.array[found.mask("body")], turned.array[found.mask("body")])
    assert found.array.dtype == np.int16


@pytest.mark.parametrize("order", ORDERS[::7])
def test_a_lung_without_air_is_found_by_the_other_ones_mirror_image(
    scan: Volume, chest: dict[str, Mask], order: tuple[tuple[int, ...], tuple[bool, ...]]
) -> None:
    turned = stored_as(scan, *order)
    found = stored_as(turned.with_array(lungs(of(turned)).mask("lungs").astype(np.uint8)), (0, 1, 2), (False,) * 3)
    mask = found.array > 0
    for part in ("right", "left"):
        truth = stored_as(scan.with_array(chest[part].astype(np.uint8)), *order).array > 0
        assert (mask & truth).sum() > 0.97 * truth.sum()
    spine = stored_as(scan.with_array(chest["spine"].astype(np.uint8)), *order).array > 0
    assert not (mask & spine).any()


def test_the_region_is_the_lung_widened_by_a_disc(scan: Volume, chest: dict[str, Mask]) -> None:
    found = lungs(of(scan), mirror=False).mask("lungs")
    rows, columns = np.indices((11, 11)) - 5
    disc = (rows**2 + columns**2 <= 25)[np.newaxis]
    expected = ndimage.binary_dilation(chest["right"], structure=disc)
    assert np.array_equal(found, expected)


def test_a_body_without_air_or_nothing_at_all_is_refused(scan: Volume) -> None:
    solid = scan.with_array(np.where(scan.array < -500, np.where(scan.array > -950, 40, -1000), scan.array))
    with pytest.raises(Unsuitable, match="needed air"):
        lungs(of(solid))
    with pytest.raises(Unsuitable, match="needed a body"):
        body_mask(image(np.full((4, 32, 32), -1000, dtype=np.int16)))
    with pytest.raises(Unsuitable, match="needed a spine"):
        lungs(of(scan), bone_above=2000.0)


def test_outside_gets_a_value_that_integers_may_not_hold() -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    half = set_outside(image(array, body=array > 11), over="body", value=0.5)
    assert np.array_equal(half.array, np.where(array > 11, array, np.float32(0.5)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 7), st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_discs_are_those_of_scipy(radius: int, rows: int, columns: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((2, rows, columns)) > 0.9
    grid = np.indices((2 * radius + 1,) * 2) - radius
    disc = ((grid**2).sum(axis=0) <= radius * radius)[np.newaxis]
    assert np.array_equal(morphology.dilated(mask, radius), ndimage.binary_dilation(mask, structure=disc))
    assert np.array_equal(
        morphology.eroded(~mask, radius), ndimage.binary_erosion(~mask, structure=disc, border_value=1)
    )
    filled = np.stack([ndimage.binary_fill_holes(one) for one in mask])
    assert np.array_equal(morphology.filled(mask), filled)


def drawn(structures: Dataset, name: str, volume: Volume) -> Mask:
    """The contours of a structure, each once, filled even-odd."""
    number = next(roi.ROINumber for roi in structures.StructureSetROISequence if roi.ROIName == name)
    contours = next(roi for roi in structures.ROIContourSequence if roi.ReferencedROINumber == number).ContourSequence
    mask = np.zeros(volume.array.shape, dtype=bool)
    for data in {tuple(contour.ContourData) for contour in contours}:
        points = np.array(data, dtype=float).reshape(-1, 3)
        index = np.linalg.solve(volume.affine, np.c_[points, np.ones(len(points))].T)[:3]
        picture = Picture.new("1", (volume.spatial_shape[2], volume.spatial_shape[1]))
        ImageDraw.Draw(picture).polygon([(c, r) for _, r, c in index.T], fill=1)
        mask[round(float(index[0].mean()))] ^= np.array(picture)
    return mask


def test_the_chest_ct_recipe_isolates_the_lungs_of_a_patient(real_data: Path) -> None:
    headers = [
        (pydicom.dcmread(path, stop_before_pixels=True), path)
        for path in (real_data / "lung1" / "LUNG1-002_20180526_CT").rglob("*.dcm")
    ]
    volume = read_series([path for ds, path in headers if ds.Modality == "CT"]).volume
    structures = next(pydicom.dcmread(path) for ds, path in headers if ds.Modality == "RTSTRUCT")
    prepared = prepare([volume], CHEST_CT)
    assert prepared.shape == (111, 512, 512)
    # Air outside the lungs, -1000 HU, as the window and the bins show it.
    air = np.floor((350 / 1500) * 256)
    assert np.array_equal(prepared.array, np.floor(prepared.array))
    assert 0 <= prepared.array.min() < prepared.array.max() == 255
    assert (prepared.array[0, :, 0, 0] == air).all()
    kept = prepared.array[0] != air
    shown = np.concatenate([found[1] for _, found in prepared.on_source(np.stack([~kept, kept]).astype(np.float16))])
    right, left, cord = (drawn(structures, name, volume) for name in ("Lung R", "Lung L", "Spinal cord"))
    for lung in (right, left):
        assert (shown[lung] > 0).mean() > 0.97
    assert (shown[cord] > 0).mean() < 0.02
    few = (slice(None), slice(None, None, 4), slice(None, None, 4))
    far = ndimage.distance_transform_edt(~(right | left)[few], sampling=np.array(volume.spacing) * (1, 4, 4)) > 30
    body = body_mask(of(volume)).mask("body")[few]
    assert (shown[few][body & far] > 0).mean() < 0.05
    # Right way up: slices towards the head, rows towards the back, columns towards the left, as the affine says.
    assert np.allclose(prepared.affine[:3, :3], [[0, 0, 1], [0, 1, 0], [3, 0, 0]], atol=1e-6)
    for lung, side in ((right, -1), (left, 1)):
        column = [*np.mean(np.nonzero(lung[::4, ::4, ::4]), axis=1) * 4, 1]
        assert side * (np.linalg.solve(prepared.affine, volume.affine @ column)[2] - 256) > 20
