"""Images that ask for more memory than they are are refused before anything is decoded."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read import bounds
from tests.fuzz.seeds import _meta, _slice


def compressed(syntax: str) -> Dataset:
    ds = _slice()
    ds.Rows, ds.Columns = 32, 48
    ds.PixelData = np.arange(32 * 48, dtype="<u2").tobytes()
    ds.file_meta = _meta("1.2.840.10008.1.2.1")
    ds.compress(syntax, generate_instance_uid=False)
    return ds


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_a_codestream_tells_its_size(syntax: str) -> None:
    codestream = get_frame(compressed(syntax).PixelData, 0, number_of_frames=1)

    assert bounds.dimensions(codestream) == (32, 48)
    assert [bounds.dimensions(codestream[:length]) for length in range(4)] == [None] * 4


def test_a_codestream_of_another_size_than_the_header_is_refused() -> None:
    codestream = bytearray(get_frame(compressed(JPEG2000Lossless).PixelData, 0, number_of_frames=1))
    codestream[8:16] = b"\x00\x01\x00\x00" * 2

    with pytest.raises(Unsuitable, match="65536 × 65536, needed 32 × 48"):
        bounds.require_codestream("instance 1", bytes(codestream), 32, 48)


def test_the_start_of_frame_of_a_jpeg_is_found_behind_other_segments() -> None:
    jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc4\x00\x03c\xff\xc3\x00\x0b\x0c\x00\x20\x00\x30\x01"
    assert bounds.dimensions(jpeg) == (32, 48)


def test_a_frame_that_no_device_makes_is_refused() -> None:
    bounds.require_frame("instance 1", 16384, 16384, 16)
    with pytest.raises(Unsuitable, match="65535 × 65535 pixels, 8191 MiB each, needed at most 1024 MiB"):
        bounds.require_frame("instance 1", 65535, 65535, 16)


def test_a_deflated_file_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_INFLATED_BYTES", 4 << 20)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    meta = b"\x02\x00\x10\x00UI\x16\x001.2.840.10008.1.2.1.99"
    head = bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00" + len(meta).to_bytes(4, "little") + meta
    path = tmp_path / "bomb.dcm"
    path.write_bytes(head + deflate.compress(bytes(16 << 20)) + deflate.flush())

    with pytest.raises(Unsuitable, match=r"bomb\.dcm: deflated data set of more than 4 MiB"):
        bounds.require_inflatable(path)
