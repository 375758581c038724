"""DCMTK's tools as peers that send to the listener."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicomnode.domain.network import Peer

Start = Callable[..., Any]

#: Folder of the wg04 samples → storescu's option to propose that transfer syntax.
WG04 = {
    "REF": "-xe",
    "JPLL": "-xs",
    "JPLY": "-xx",
    "RLE": "-xr",
    "JLSL": "-xt",
    "JLSN": "-xu",
    "J2KR": "-xv",
    "J2KI": "-xw",
}


def test_echoscu_is_answered(listen: Start, dcmtk: Start) -> None:
    done = dcmtk("echoscu", "-aec", "NODE", "127.0.0.1", listen().port)

    assert (done.returncode, done.stderr) == (0, "")


def test_echoscu_is_told_which_title_is_wrong(listen: Start, dcmtk: Start) -> None:
    peer = Peer(name="scanner", aet="CT1", host="127.0.0.1", port=104)
    listener = listen(peers=(peer,), accept_unknown=False)

    called = dcmtk("echoscu", "-aet", "CT1", "-aec", "ELSE", "127.0.0.1", listener.port)
    calling = dcmtk("echoscu", "-aet", "STRANGER", "-aec", "NODE", "127.0.0.1", listener.port)

    assert "Called AE Title Not Recognized" in called.stderr
    assert "Calling AE Title Not Recognized" in calling.stderr


@pytest.mark.parametrize(
    ("syntax", "option"),
    [
        (ExplicitVRLittleEndian, "-xe"),
        (ImplicitVRLittleEndian, "-xi"),
        (ExplicitVRBigEndian, "-xb"),
        (DeflatedExplicitVRLittleEndian, "-xd"),
    ],
)
def test_uncompressed_and_deflated_objects_arrive_byte_for_byte(
    listen: Start, dcmtk: Start, outgoing: Start, recorder: Any, digest_of: Start, syntax: str, option: str
) -> None:
    file = outgoing(syntax=syntax)

    done = dcmtk("storescu", option, "-aec", "NODE", "127.0.0.1", listen().port, file.path)

    assert done.returncode == 0, done.stderr
    arrival = recorder.accepted[file.sop_instance_uid]
    assert arrival.transfer_syntax_uid == syntax
    if syntax != DeflatedExplicitVRLittleEndian:  # DCMTK deflates anew
        assert arrival.digest == digest_of(file.path)


@pytest.mark.parametrize("folder", WG04)
def test_real_compressed_objects_are_stored_as_sent(
    listen: Start, dcmtk: Start, recorder: Any, real_data: Path, folder: str
) -> None:
    files = sorted((real_data / "wg04" / folder).iterdir())

    done = dcmtk("storescu", WG04[folder], "-aec", "NODE", "127.0.0.1", listen().port, *files)

    assert done.returncode == 0, done.stderr
    assert len(recorder.accepted) == len(files)
    # DCMTK writes the other elements anew.
    pixels = {ds.SOPInstanceUID: ds.PixelData for ds in map(dcmread, files)}
    assert all(pixels[uid] in content for uid, content in recorder.content.items())


def test_dcmsend_with_many_files_stores_all(
    listen: Start, dcmtk: Start, outgoing: Start, recorder: Any, tmp_path: Path
) -> None:
    files = [outgoing(number) for number in range(1, 31)]

    done = dcmtk("dcmsend", "-aec", "NODE", "127.0.0.1", listen().port, *paths(files))

    assert done.returncode == 0, done.stderr
    assert set(recorder.accepted) == {file.sop_instance_uid for file in files}


def test_storescu_hears_why_an_object_was_refused(listen: Start, dcmtk: Start, outgoing: Start, recorder: Any) -> None:
    file = outgoing()
    recorder.refuse_with = OSError(28, "No space left on device")

    done = dcmtk("storescu", "-v", "-aec", "NODE", "127.0.0.1", listen().port, file.path)

    assert "Refused: OutOfResources" in done.stdout + done.stderr


def paths(files: Iterable[Any]) -> list[Path]:
    return [file.path for file in files]
