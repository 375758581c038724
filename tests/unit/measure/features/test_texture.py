"""Texture counted by us against pyradiomics' own C code, matrix by matrix and feature by feature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from radiomics import cMatrices, getFeatureClasses
from scipy import ndimage

from dicomnode.measure.features import classes, texture
from dicomnode.measure.features.discretised import discretised

SPACING_MM = (2.5, 0.7, 0.9)

Region = tuple[NDArray[Any], NDArray[np.bool_]]


@pytest.fixture(autouse=True)
def always_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texture, "LEAST_VOXELS", 0)


def _region(seed: int, shape: tuple[int, int, int] | None = None) -> Region:
    """A mask with holes in its bounding box, and noise of some length of correlation in few or many grey levels."""
    rng = np.random.default_rng(seed)
    size = shape or tuple(int(side) for side in rng.integers(4, 18, 3))
    smooth = ndimage.gaussian_filter(rng.normal(size=size), rng.uniform(0.3, 2))
    mask = smooth > np.quantile(smooth, rng.uniform(0.1, 0.6))
    image = ndimage.gaussian_filter(rng.normal(size=size), rng.uniform(0.3, 2))
    image = image / image.std() * rng.choice([20.0, 120.0, 400.0])
    kind = np.int16 if seed % 2 else np.float64
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    return np.ascontiguousarray(image[box].astype(kind)), np.ascontiguousarray(mask[box])


def _ours(region: Region, settings: dict[str, Any]) -> dict[str, float]:
    image, mask = region
    return dict(classes.intensity_features(image, mask, SPACING_MM, classes.names()[1:], settings).values)


def _theirs(region: Region, settings: dict[str, Any]) -> dict[str, float]:
    image: Any = SimpleITK.GetImageFromArray(region[0])
    mask: Any = SimpleITK.GetImageFromArray(region[1].astype(np.uint8))
    for itk in (image, mask):
        itk.SetSpacing(SPACING_MM[::-1])
    found: dict[str, float] = {}
    with np.errstate(all="ignore"):
        for name in classes.names()[1:]:
            values = getFeatureClasses()[name](image, mask, **settings).execute()
            found |= {f"{name}_{feature}": float(value) for feature, value in values.items()}
    return found


def _compare(region: Region, settings: dict[str, Any]) -> None:
    assert discretised(*region, settings, textures=True).texture is not None
    np.testing.assert_equal(_ours(region, settings), _theirs(region, settings))


@pytest.mark.parametrize("width", [300.0, 25.0, 6.0])
@pytest.mark.parametrize("seed", range(8))
def test_a_count_is_that_of_pyradiomics(seed: int, width: float) -> None:
    # Levels whose pairs take 8, 16 and 32 bits are among them.
    region = discretised(*_region(seed), {"binWidth": width}, textures=True)
    counted = region.texture
    assert counted is not None
    rows, most = region.present - 1, int(region.present[-1])
    one = np.array([1])
    glcm, angles = cMatrices.calculate_glcm(region.levels, region.mask, one, most, False, 0)
    assert angles.tolist() == [list(angle) for angle in counted.angles]
    assert np.array_equal(glcm[0][np.ix_(rows, rows)].transpose(2, 0, 1), counted.pairs)
    glrlm, _ = cMatrices.calculate_glrlm(region.levels, region.mask, most, max(region.shape), False, 0)
    runs = texture.runs(counted)
    assert np.array_equal(glrlm[0][rows, : runs.shape[1]], runs) and glrlm.sum() == runs.sum()
    sizes, zones = texture.sizes_of_zones(counted)
    glszm = cMatrices.calculate_glszm(region.levels, region.mask.copy(), most, int(region.mask.sum()), False, 0)
    assert np.array_equal(glszm[0][rows][:, sizes - 1], zones) and glszm.sum() == zones.sum()
    gldm = cMatrices.calculate_gldm(region.levels, region.mask, one, most, 0, False, 0)
    dependences = texture.dependences(counted)
    assert np.array_equal(gldm[0][rows, : dependences.shape[1]], dependences) and gldm.sum() == dependences.sum()
    ngtdm = cMatrices.calculate_ngtdm(region.levels, region.mask, one, most, False, 0)
    assert np.array_equal(ngtdm[0][rows, 1], texture.differences(counted))


@pytest.mark.parametrize("seed", range(12, 28))
def test_features_of_a_count_are_those_of_pyradiomics_to_the_last_bit(seed: int) -> None:
    _compare(_region(seed), {"binWidth": 25})


@pytest.mark.parametrize(
    "settings",
    [
        {"binCount": 7},
        {"binWidth": 25, "weightingNorm": "euclidean"},
        {"binWidth": 25, "symmetricalGLCM": False},
        {"binWidth": 25, "gldm_a": 1},
        {"binWidth": 40, "voxelArrayShift": 300},
    ],
)
def test_a_setting_keeps_its_meaning(settings: dict[str, Any]) -> None:
    _compare(_region(3), settings)


@pytest.mark.parametrize("shape", [(1, 20, 30), (20, 1, 30), (20, 30, 1), (2, 2, 60)])
def test_a_flat_region_has_the_features_of_pyradiomics(shape: tuple[int, int, int]) -> None:
    _compare(_region(5, shape), {"binWidth": 25})


def test_a_region_of_one_grey_level_is_one_zone_with_the_features_of_pyradiomics() -> None:
    image, mask = np.full((5, 6, 7), 40, dtype=np.int16), np.ones((5, 6, 7), dtype=bool)
    counted = discretised(image, mask, {"binWidth": 25}, textures=True).texture
    assert counted is not None
    sizes, zones = texture.sizes_of_zones(counted)
    assert (sizes.tolist(), zones.tolist()) == ([210], [[1]])
    _compare((image, mask), {"binWidth": 25})


@pytest.mark.parametrize("missing", [0, 1, 2, 5])
def test_levels_that_do_not_occur_change_no_bit(missing: int) -> None:
    # numpy.delete, on which pyradiomics' order of summation depends, takes one row away in another way than several.
    rng = np.random.default_rng(11)
    occurs = np.delete(np.arange(20), np.arange(5, 5 + missing))
    image = (rng.choice(occurs, size=(9, 11, 13)) * 25 + 5).astype(np.int16)
    image[0, 0, :2] = 5, 480
    _compare((image, np.ones(image.shape, dtype=bool)), {"binWidth": 25})


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"distances": [1, 2]}, "farther neighbours"), ({"force2D": True}, "neighbours in the plane alone")],
)
def test_what_is_not_counted_is_left_to_pyradiomics(settings: dict[str, Any], why: str) -> None:
    assert discretised(*_region(2), {"binWidth": 25, **settings}, textures=True).texture is None, why


def test_a_direction_without_two_neighbours_is_left_to_pyradiomics() -> None:
    mask = np.zeros((6, 6, 6), dtype=bool)
    mask[range(6), range(6), range(6)] = True
    assert discretised(mask.astype(np.int16), mask, {"binWidth": 25}, textures=True).texture is None


def test_the_mask_is_whole_after_pyradiomics_has_counted_zones() -> None:
    image, mask = _region(7)
    before = mask.copy()
    _ours((image, mask), {"binWidth": 25, "force2D": True})
    assert np.array_equal(mask, before)
