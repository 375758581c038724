"""The picture of the demonstration shows the contour on the image that the SEG refers to, however the images lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread

from dicomnode.flow.picture import draw
from dicomnode.flow.process import process
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions
from tests.series import bundles, classic, enhanced
from tests.series.header import Place
from tests.series.scan import Scan, tilted_grid, upright

BODY = f"""
[input.ct]
Modality = "CT"
[[prepare]]
step = "scale"
range = [0.0, 1000.0]
[tile]
shape = [10, 16, 16]
overlap = 0.0
batch = 1
[output]
activation = "softmax"
{bundles.DENSE}
"""
#: The first colour of the palette.
ORANGE = (255, 170, 60)


def block() -> Scan:
    lattice = np.zeros((32, 24, 10), np.int16)
    lattice[20:28, 4:10, 3:7] = 400
    return upright(lattice, (2.0, 2.0, 4.0), (-10.0, -20.0, 30.0))


def as_sent(kind: str) -> list[Dataset]:
    place = Place(study="s", frame="f")
    if kind == "enhanced":
        return [enhanced.enhanced_ct(block(), place, seed=1)]
    scan = block()
    if kind == "tilted":
        scan = Scan(values=scan.values, affine=tilted_grid(scan, 15.0))
    return classic.ct(scan, place)


@pytest.mark.parametrize("kind", ["classic", "tilted", "enhanced"])
def test_the_contour_lies_round_what_is_dense_in_the_image_as_sent(kind: str, tmp_path: Path) -> None:
    paths = []
    for number, ds in enumerate(as_sent(kind)):
        paths.append(tmp_path / f"{number}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    spec = load_bundle(bundles.write(tmp_path / "models", "m", BODY, bundles.threshold(0.2)))
    done = process(paths, spec, ("seg",), tmp_path / "out", Sessions(threads=1, device="cpu"))
    target = draw(paths, [dcmread(path) for path in done.written], tmp_path / "picture.png")
    assert target is not None
    found = np.asarray(Image.open(target).convert("RGB"))
    # Twice enlarged; captions stand in the upper left corner.
    contour = np.argwhere((found == ORANGE).all(axis=2) & (np.arange(found.shape[1]) > 36)) / 2
    top, left = contour.min(axis=0)
    bottom, right = contour.max(axis=0)
    assert found.shape[:2] == (48, 64)
    assert (top, left, bottom, right) == pytest.approx((4, 20, 10, 28), abs=1.5)


def test_without_a_mask_there_is_no_picture(tmp_path: Path) -> None:
    assert draw([], [], tmp_path / "picture.png") is None
