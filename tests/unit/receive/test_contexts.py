"""Which presentation contexts the node accepts."""

from __future__ import annotations

import pytest
from pydicom.uid import (
    MPEG2MPML,
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLossless,
    JPEGLosslessSV1,
    RLELossless,
)

from dicomnode.receive import contexts


def test_explicit_little_endian_comes_first_and_the_uncompressed_before_the_compressed() -> None:
    assert contexts.transfer_syntaxes()[:4] == (
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
    )


def test_what_the_installed_decoders_read_is_accepted() -> None:
    assert {RLELossless, JPEGLossless, JPEGLosslessSV1} <= set(contexts.transfer_syntaxes())


def test_a_syntax_without_decoder_is_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "readable", lambda syntax: syntax != JPEGLosslessSV1)
    contexts.transfer_syntaxes.cache_clear()
    try:
        assert JPEGLosslessSV1 not in contexts.transfer_syntaxes()
    finally:
        contexts.transfer_syntaxes.cache_clear()


def test_video_is_not_readable() -> None:
    assert not contexts.readable(MPEG2MPML)


def test_every_storage_class_with_a_name_is_in_the_table() -> None:
    rows = {row.sop_class_uid: row for row in contexts.accepted()}

    assert {CTImageStorage, "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7", "1.2.840.10008.1.1"} <= set(
        rows
    )
    assert rows["1.2.840.10008.5.1.4.1.1.66.7"].sop_class == "Label Map Segmentation Storage"
    assert [row.sop_class_uid for row in rows.values() if row.sop_class == row.sop_class_uid] == []


def test_the_table_is_what_is_negotiated() -> None:
    offered = {context.abstract_syntax: context.transfer_syntax for context in contexts.presentation_contexts()}

    assert offered == {UID(row.sop_class_uid): list(map(UID, row.transfer_syntaxes)) for row in contexts.accepted()}
