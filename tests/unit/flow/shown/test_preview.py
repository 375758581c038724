"""The preview of a mask: on the image that shows most of it, and never one that may name the patient."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from highdicom.seg import Segmentation
from PIL import Image
from pydicom import Dataset, dcmread

from dicomnode.domain.errors import Unsuitable
from dicomnode.flow.shown import preview as module
from dicomnode.flow.shown.preview import preview
from tests.acceptance.phantom import make_ct
from tests.unit.flow.shown.drawn import segmentation

SIDE = 768


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path], np.ndarray]:
    folder = tmp_path_factory.mktemp("preview")
    ct = make_ct(folder / "ct")
    datasets = [dcmread(path) for path in ct.files]
    mask: Segmentation = segmentation(datasets, ct.ball)
    mask.save_as(folder / "seg.dcm")
    return (
        folder / "seg.dcm",
        {str(ds.SOPInstanceUID): path for ds, path in zip(datasets, ct.files, strict=True)},
        ct.ball,
    )


def test_the_outline_runs_round_the_mask_on_its_fullest_slice(drawn: tuple[Path, dict[str, Path], np.ndarray]) -> None:
    mask, sources, ball = drawn
    picture = np.asarray(Image.open(BytesIO(preview(mask, sources, sees_names=False))).convert("RGB")).astype(int)
    assert picture.shape == (SIDE, SIDE, 3)
    coloured = np.abs(picture - picture.mean(axis=2, keepdims=True)).max(axis=2) > 30
    coloured[:40] = False  # the name in the corner
    slice_ = ball[int(np.argmax(ball.sum(axis=(1, 2))))]
    scale = SIDE / slice_.shape[0]
    rows, columns = np.nonzero(slice_)
    found_rows, found_columns = np.nonzero(coloured)
    for found, wanted in ((found_rows, rows), (found_columns, columns)):
        # A line of three pixels half-way between voxels in and out.
        assert abs(found.min() - wanted.min() * scale) <= 3 and abs(found.max() - (wanted.max() + 1) * scale) <= 3


def test_what_may_have_a_name_burnt_in_is_shown_to_those_who_may_see_it_alone(
    drawn: tuple[Path, dict[str, Path], np.ndarray], tmp_path: Path
) -> None:
    mask, sources, _ = drawn
    burnt = {}
    for uid, path in sources.items():
        ds = dcmread(path)
        ds.BurnedInAnnotation = "YES"
        ds.save_as(tmp_path / uid)
        burnt[uid] = tmp_path / uid
    with pytest.raises(Unsuitable, match="burnt"):
        preview(mask, burnt, sees_names=False)
    assert preview(mask, burnt, sees_names=True).startswith(b"\x89PNG")


def test_what_is_gone_too_large_or_no_mask_is_told_in_words(
    drawn: tuple[Path, dict[str, Path], np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask, sources, _ = drawn
    with pytest.raises(Unsuitable, match="not here any more"):
        preview(mask, {}, sees_names=True)
    with pytest.raises(Unsuitable, match="not here any more"):
        preview(tmp_path / "gone", sources, sees_names=True)
    for path in (next(iter(sources.values())), Path(__file__)):
        with pytest.raises(Unsuitable):
            preview(path, sources, sees_names=True)
    monkeypatch.setattr(module, "_MOST_BYTES", 10)
    with pytest.raises(Unsuitable, match="too large"):
        preview(mask, sources, sees_names=True)
    assert isinstance(dcmread(mask), Dataset)
