"""Two files under one UID: whether they show the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RLELossless

from dicomnode.infer.read.compare import same_pixels


@pytest.fixture
def picture() -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, "1.2.3"
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 8, 8, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.add_new("PixelData", "OW", np.arange(64, dtype=np.int16).tobytes())
    return ds


@pytest.fixture
def plain(picture: Dataset, tmp_path: Path) -> Path:
    return written(picture, tmp_path / "plain.dcm")


def written(ds: Dataset, path: Path) -> Path:
    ds.save_as(path, enforce_file_format=True)
    return path


def test_another_encoding_of_the_same_pixels_is_the_same(picture: Dataset, plain: Path, tmp_path: Path) -> None:
    picture.compress(RLELossless)
    assert same_pixels(plain, written(picture, tmp_path / "rle.dcm"))


def test_one_pixel_makes_the_difference(picture: Dataset, plain: Path, tmp_path: Path) -> None:
    picture.PixelData = picture.PixelData[:-1] + b"\1"
    assert not same_pixels(plain, written(picture, tmp_path / "other.dcm"))


def test_objects_without_pixels_do_not_differ_in_them(picture: Dataset, tmp_path: Path) -> None:
    del picture.PixelData
    paths = [written(picture, tmp_path / name) for name in ("one.dcm", "other.dcm")]
    assert same_pixels(*paths)


def test_pixels_that_are_gone_are_no_longer_the_same(picture: Dataset, plain: Path, tmp_path: Path) -> None:
    del picture.PixelData
    assert not same_pixels(plain, written(picture, tmp_path / "without.dcm"))


def test_a_file_that_cannot_be_read_is_the_same_as_none(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.dcm").write_bytes(plain.read_bytes()[:300])
    assert not same_pixels(plain, tmp_path / "cut.dcm")


def test_a_disk_that_fails_says_nothing_of_the_pixels(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        same_pixels(plain, tmp_path / "gone.dcm")
