"""Which presentation contexts a delivery proposes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    SegmentationStorage,
)

from dicomnode.deliver.dimse import Outgoing, presentation_contexts
from dicomnode.domain.errors import DeliveryError


def outgoing(sop_class: str, syntax: str) -> Outgoing:
    path = Path("unused")
    return Outgoing(sop_class_uid=sop_class, sop_instance_uid="1.2", transfer_syntax_uid=syntax, path=path)


def test_each_kind_of_file_has_its_own_context_and_the_uncompressed_have_fallbacks() -> None:
    files = [
        outgoing(CTImageStorage, JPEG2000Lossless),
        outgoing(SegmentationStorage, ImplicitVRLittleEndian),
        outgoing(SegmentationStorage, ImplicitVRLittleEndian),
    ]

    contexts = [(context.abstract_syntax, context.transfer_syntax) for context in presentation_contexts(files)]

    assert contexts == [
        (CTImageStorage, [JPEG2000Lossless]),
        (SegmentationStorage, [ImplicitVRLittleEndian]),
        (SegmentationStorage, [ExplicitVRLittleEndian]),
    ]


def test_more_contexts_than_an_association_has_are_refused_before_connecting() -> None:
    files = [outgoing(f"1.2.3.{number}", JPEG2000Lossless) for number in range(129)]

    with pytest.raises(DeliveryError, match="129 presentation contexts"):
        presentation_contexts(files)
