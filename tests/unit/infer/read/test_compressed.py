from __future__ import annotations

from pathlib import Path

import gdcm
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.frame import Frame
from dicomnode.infer.read.image import image_of, read_header
from dicomnode.infer.read.pixels import stored_values
from dicomnode.infer.read.rescale import Rescale
from tests.unit.infer.read.conftest import blank

Syntax = gdcm.TransferSyntax
LOSSLESS = (Syntax.JPEGLosslessProcess14, Syntax.JPEGLosslessProcess14_1, Syntax.JPEGLSLossless)


def planes(stored: int, signed: bool) -> np.ndarray:
    """One smooth image with the least and the greatest value that there are, (frame, row, column)."""
    low, high = (-(1 << stored - 1), (1 << stored - 1) - 1) if signed else (0, (1 << stored) - 1)
    rows, columns = np.mgrid[:32, :40]
    values = (np.sin(columns / 9) * np.cos(rows / 7) + 1) / 2 * (high - low) + low
    values[0, :2] = low, high
    wanted = np.dtype(f"<{'i' if signed else 'u'}{1 if stored <= 8 else 2}")
    return np.asarray(values, dtype=wanted)[np.newaxis]


def written(path: Path, values: np.ndarray, stored: int, syntax: int) -> Path:
    """An object encoded by GDCM."""
    ds = blank("1.2.840.10008.5.1.4.1.1.2", "CT", values)
    del ds.NumberOfFrames
    # GDCM does not encode 8 bits of which 7 are stored.
    ds.BitsStored = 8 if stored < 8 else stored
    ds.HighBit = ds.BitsStored - 1
    ds.save_as(path, enforce_file_format=True)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(Syntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(path))
    assert writer.Write()
    if stored < 8:
        ds = dcmread(path)
        ds.BitsStored, ds.HighBit = stored, stored - 1
        ds.save_as(path)
    return path


def read(path: Path, numbers: tuple[int | None, ...] = (None,)) -> list[np.ndarray]:
    image = image_of(read_header(path))
    frames = [
        Frame(
            image=image, number=number, pixel_spacing_mm=(1, 1), orientation=(1, 0, 0, 0, 1, 0),
            position_mm=(0, 0, 0), rescale=Rescale.of(image.dataset, "x"),
        )
        for number in numbers
    ]  # fmt: skip
    return [values for _, values, _ in stored_values(frames)]


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize(
    ("stored", "signed"), [(7, False), (8, False), (10, False), (12, True), (15, True), (16, False), (16, True)]
)
def test_lossless_frames_give_the_values_that_were_encoded(
    tmp_path: Path, syntax: int, stored: int, signed: bool
) -> None:
    values = planes(stored, signed)
    (found,) = read(written(tmp_path / "one", values, stored, syntax))
    assert found.dtype == values.dtype
    assert np.array_equal(found, values[0])


@pytest.mark.parametrize("stored", [8, 12])
def test_extended_jpeg_gives_about_the_values_that_were_encoded(tmp_path: Path, stored: int) -> None:
    values = planes(stored, signed=False)
    (found,) = read(written(tmp_path / "one", values, stored, Syntax.JPEGExtendedProcess2_4))
    # GDCM encodes with quality 100: rounding alone.
    assert np.abs(found.astype(int) - values[0]).max() <= 2


def test_a_damaged_frame_is_refused_in_one_sentence_without_the_patient(tmp_path: Path) -> None:
    path = written(tmp_path / "one", planes(12, signed=False), 12, Syntax.JPEGLSLossless)
    ds = dcmread(path)
    codestream = bytearray(get_frame(ds.PixelData, 0, number_of_frames=1))
    codestream[6] = 255
    ds.PixelData = encapsulate([bytes(codestream)])
    ds.save_as(path)

    with pytest.raises(Unsuitable) as refusal:
        read(path)

    assert str(refusal.value).startswith(f"instance {ds.SOPInstanceUID}: encoded pixels that are damaged")
    assert "\n" not in str(refusal.value)
    assert "LOGME" not in str(refusal.value) and "SECRET" not in str(refusal.value)


def test_more_bits_than_the_header_allocates_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "one", planes(16, signed=False), 16, Syntax.JPEGLosslessProcess14_1)
    ds = dcmread(path)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.save_as(path)
    with pytest.raises(Unsuitable, match="encoded pixels of 16 bits, needed at most 8 as allocated"):
        read(path)


def test_frames_that_are_not_there_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "one", planes(12, signed=False), 12, Syntax.JPEGLSLossless)
    ds = dcmread(path)
    codestream = get_frame(ds.PixelData, 0, number_of_frames=1)
    ds.PixelData, ds.NumberOfFrames = encapsulate([codestream, codestream]), 3
    ds.save_as(path)
    first, second = read(path, (2, 1))
    assert np.array_equal(first, second)
    with pytest.raises(Unsuitable, match="needed"):
        read(path, (1, 3))


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_frames_beyond_those_of_the_header_are_left_alone(tmp_path: Path, syntax: str) -> None:
    values = planes(12, signed=False)
    ds = blank("1.2.840.10008.5.1.4.1.1.2", "CT", values)
    del ds.NumberOfFrames
    ds.BitsStored, ds.HighBit = 12, 11
    ds.compress(syntax, generate_instance_uid=False)
    codestream = get_frame(ds.PixelData, 0, number_of_frames=1)
    ds.PixelData = encapsulate([codestream, codestream])
    ds.save_as(tmp_path / "one", enforce_file_format=True)
    (found,) = read(tmp_path / "one")
    assert np.array_equal(found, values[0])
