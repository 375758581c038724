"""The wavelet transform of a box against pyradiomics' filter on the whole image, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from radiomics import imageoperations

from dicomnode.measure.features import wavelet
from dicomnode.measure.features.filters import images
from dicomnode.measure.features.frame import Frame

Box = tuple[slice, slice, slice]


def _scene(seed: int) -> tuple[NDArray[Any], Box]:
    """An image of some shape and type, and a box in it, at an edge or not."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(length) for length in rng.integers(7, 40, 3))
    kind = (np.int16, np.uint8, np.float32, np.float64)[seed % 4]
    ends = [sorted(int(end) for end in rng.choice(length + 1, 2, replace=False)) for length in shape]
    z, y, x = (slice(start, stop) for start, stop in ends)
    return rng.uniform(0, 200, shape).astype(kind), (z, y, x)


def _theirs(array: NDArray[Any], box: Box, settings: dict[str, Any]) -> dict[str, NDArray[Any]]:
    whole: Any = SimpleITK.GetImageFromArray(array)
    made = imageoperations.getWaveletImage(whole, None, **settings)
    return {name: SimpleITK.GetArrayFromImage(image)[box] for image, name, _ in made}


def _ours(array: NDArray[Any], box: Box, settings: dict[str, Any]) -> dict[str, NDArray[Any] | None]:
    mask = np.ones([side.stop - side.start for side in box], dtype=bool)
    frame = Frame(array=array, box=box, mask=mask, spacing_mm=(1.0, 1.0, 1.0))
    return {image.name: image.array for image in images(frame, {"Wavelet": settings}, {})}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"wavelet": "haar"},
        {"wavelet": "bior2.4", "level": 2},
        {"wavelet": "db3", "level": 1, "start_level": 2},
        {"wavelet": "dmey", "force2D": True},
        {"level": 3, "force2D": True, "force2Ddimension": 2},
    ],
)
def test_an_image_of_a_box_is_that_of_the_whole_image_to_the_last_bit(seed: int, settings: dict[str, Any]) -> None:
    found, expected = _ours(*_scene(seed), settings), _theirs(*_scene(seed), settings)
    assert list(found) == list(expected)
    for name, image in expected.items():
        part = found[name]
        assert part is not None and part.dtype == image.dtype and np.array_equal(part, image), name


@pytest.mark.parametrize("size", [1, 3_000, 2**30])
def test_how_much_is_transformed_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    array, box = _scene(3)
    expected = _theirs(array, box, {})
    monkeypatch.setattr(wavelet, "_BYTES_AT_ONCE", size)
    found = _ours(array, box, {})
    for name, image in expected.items():
        np.testing.assert_array_equal(found[name], image)


@pytest.mark.parametrize("name", ["haar", "coif1", "db3", "sym5"])
def test_a_voxel_beyond_the_margin_changes_nothing_and_one_at_it_may(name: str) -> None:
    margin = wavelet.margin(wavelet=name)
    inner = (slice(40, 41),) * 3
    rng = np.random.default_rng(7)
    near = rng.normal(size=(80, 80, 80))
    far = near.copy()
    inside = (slice(40 - margin, 41 + margin),) * 3
    far += 1000
    far[inside] = near[inside]
    images = [dict(wavelet.wavelet_images(array, inner, (2, 1, 0), wavelet=name)) for array in (near, far)]
    assert all(np.array_equal(images[0][part], images[1][part]) for part in images[0])
    far[40, 40, 40 + margin] += 1000
    changed = dict(wavelet.wavelet_images(far, inner, (2, 1, 0), wavelet=name))
    assert any(not np.array_equal(images[0][part], changed[part]) for part in images[0])
