"""Data sets that take more memory or time than they have bytes are refused, and honest ones are not."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicomnode.domain.errors import CannotUnderstand
from dicomnode.domain.study import Arrival
from dicomnode.receive import elements
from dicomnode.receive.elements import Encoding, parse
from dicomnode.receive.spool import part_10_preface

EXPLICIT = Encoding(True, "<")


def test_a_deflated_bomb_is_refused_at_the_limit_and_leaves_nothing(
    tmp_path: Path, read: Callable[..., Arrival], association: Any
) -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = deflate.compress(bytes(64 << 20)) + deflate.flush()
    path = tmp_path / "bomb"
    path.write_bytes(part_10_preface("1.2", "1.2.3", DeflatedExplicitVRLittleEndian) + bomb)

    with pytest.raises(CannotUnderstand, match="inflates beyond 8 MiB, the limit here"):
        from dicomnode.receive.header import read_arrival

        read_arrival(
            path, association, sop_class_uid="1.2", sop_instance_uid="1.2.3", on_demand=False,
            transfer_syntax_uid=DeflatedExplicitVRLittleEndian, most_inflated_bytes=8 << 20,
        )  # fmt: skip
    assert len(bomb) < 100_000
    assert list(tmp_path.iterdir()) == [path]


def test_a_deflated_object_within_the_limit_is_read(
    ct: Dataset, save: Callable[..., Path], read: Callable[..., Arrival]
) -> None:
    path = save(ct, DeflatedExplicitVRLittleEndian)

    assert read(path, DeflatedExplicitVRLittleEndian).header.first("Modality") == "CT"


def test_a_run_of_zeros_with_something_behind_it_takes_no_square_of_time() -> None:
    # Walked through anew at each of its 131 072 elements, a megabyte takes minutes.
    begun = perf_counter()
    parse(bytes(1 << 20) + b"\x08\x00\x60\x00CS\x02\x00CT", 0, EXPLICIT)

    assert perf_counter() - begun < 10


def test_padding_behind_the_data_set_is_no_fault() -> None:
    assert parse(b"\x08\x00\x60\x00CS\x02\x00CT" + bytes(64), 0, EXPLICIT).attributes == {
        "00080060": {"vr": "CS", "Value": ["CT"]}
    }


def test_a_header_of_many_character_sets_takes_no_more_time_than_another() -> None:
    # Hashed with each of the values that are remembered, 65 000 of them take half a minute for a megabyte.
    sets = b"ISO_IR 100" + b"\\" * 65_000
    header = b"\x08\x00\x05\x00CS" + len(sets).to_bytes(2, "little") + sets
    begun = process_time()
    parse(header + b"\x10\x00\x40\x00CS\x02\x00M " * 100_000, 0, EXPLICIT)

    assert process_time() - begun < 5
    assert len(elements.codecs_of(["ISO_IR 100"] * 65_000)) < 20


def test_a_header_of_too_many_items_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "_MOST_ELEMENTS", 1000)
    items = b"\xfe\xff\x00\xe0\x00\x00\x00\x00" * 1001
    sequence = b"\x08\x00\x18\x22SQ\x00\x00" + len(items).to_bytes(4, "little") + items

    with pytest.raises(CannotUnderstand, match="more than 1000 elements"):
        parse(sequence, 0, EXPLICIT)


def test_a_header_of_too_many_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "_MOST_VALUE_BYTES", 1 << 20)
    text = b"x" * 60_000
    element = b"\x10\x00\x00\x40LT" + len(text).to_bytes(2, "little") + text

    with pytest.raises(CannotUnderstand, match="or 1 MiB"):
        parse(element * 20, 0, EXPLICIT)
