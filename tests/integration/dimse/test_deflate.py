"""A SEG goes out deflated where the entry of the peer asks for it and the peer accepts it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, SegmentationStorage

from dicomnode.deliver.association import Timeouts
from dicomnode.deliver.dimse import Outgoing, presentation_contexts, send


@pytest.mark.parametrize(
    ("option", "deflate", "syntax"),
    [
        ("+xd", True, DeflatedExplicitVRLittleEndian),
        ("+xd", False, ExplicitVRLittleEndian),
        ("+xe", True, ExplicitVRLittleEndian),
        ("+xi", True, "1.2.840.10008.1.2"),
    ],
    ids=["asked and accepted", "not asked", "asked and not accepted", "nothing but implicit"],
)
def test_dcmtk_gets_the_same_data_set_in_the_syntax_that_was_agreed(
    outgoing: Callable[..., Outgoing], dcmtk_storescp: Any, timeouts: Timeouts, option: str, deflate: bool, syntax: str
) -> None:
    peer, folder = dcmtk_storescp(option)
    file = outgoing(1, SOPClassUID=SegmentationStorage, PixelData=bytes(100_000))
    receipts = list(send(replace(peer, deflate=deflate), [file], calling_aet="NODE", timeouts=timeouts))
    assert [receipt.status for receipt in receipts] == [0]
    (stored,) = folder.iterdir()
    assert dcmread(stored).file_meta.TransferSyntaxUID == syntax
    assert dcmread(stored) == dcmread(file.path)
    if syntax == DeflatedExplicitVRLittleEndian:
        assert stored.stat().st_size < file.path.stat().st_size / 20


def test_nothing_but_a_seg_is_deflated(
    outgoing: Callable[..., Outgoing], dcmtk_storescp: Any, timeouts: Timeouts
) -> None:
    peer, folder = dcmtk_storescp("+xd")
    list(send(replace(peer, deflate=True), [outgoing(1)], calling_aet="NODE", timeouts=timeouts))
    (stored,) = folder.iterdir()
    assert dcmread(stored).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_a_peer_that_is_not_asked_to_inflate_is_not_offered_it(
    outgoing: Callable[..., Outgoing], tmp_path: Path
) -> None:
    file = outgoing(1, SOPClassUID=SegmentationStorage)
    offered = {str(context.transfer_syntax[0]) for context in presentation_contexts([file])}
    assert DeflatedExplicitVRLittleEndian not in offered
