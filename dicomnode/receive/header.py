"""Reads what the node needs to know of an arrived file: its header, who it is, and its digest."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from struct import Struct

from pydicom.datadict import keyword_for_tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicomnode.domain.errors import CannotUnderstand
from dicomnode.domain.header import Header
from dicomnode.domain.network import Association
from dicomnode.domain.study import Arrival
from dicomnode.domain.uid import LONGEST_UID, is_uid
from dicomnode.receive.elements import Encoding, parse
from dicomnode.receive.inflate import inflated
from dicomnode.receive.refusal import Contradiction, NotUnderstood

STUDY_INSTANCE_UID, SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
SOP_CLASS_UID, SOP_INSTANCE_UID = 0x00080016, 0x00080018

_PREAMBLE_BYTES = 128

#: Read at once of a file that is only to be found readable.
_READ_BYTES = 1 << 20
_GROUP_LENGTH_END = _PREAMBLE_BYTES + 4 + 12
_META_GROUP_LENGTH = Struct("<HH2sHL")

#: A deflated data set that grows beyond this is taken for an attack, not for an image.
_MOST_INFLATED_BYTES = 4 << 30


def read_arrival(
    path: Path | str,
    association: Association,
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    on_demand: bool,
    move_originator: str = "",
    data_set_start: int = 0,
    digest: str = "",
    most_inflated_bytes: int = _MOST_INFLATED_BYTES,
) -> Arrival:
    """Describe the Part 10 file at `path`, whose pixels are not decoded.

    Parameters
    ----------
    sop_class_uid, sop_instance_uid
        As the command set (or whatever brought the object) names them; the data set has to agree.
    transfer_syntax_uid
        In which the data set is encoded.
    on_demand, move_originator
        Passed through.
    data_set_start
        Offset of the data set; 0: the group length of the file meta information tells (PS3.10 7.1).
    digest
        SHA-256 of the data set where it is known already; "": it is made here.
    most_inflated_bytes
        How large a deflated data set may become.

    Raises
    ------
    CannotUnderstand
        The data set is cut short or no data set, or a UID that identifies it is missing or is none (PS3.5 9.1).
    SOPClassMismatch
        The data set names another SOP class or instance than the command set (PS3.4 B.2.3).
    OSError
        The file cannot be read.
    """
    with _mapped(path) as content:
        start = data_set_start or _data_set_start(content)
        if not digest:
            with memoryview(content) as whole, whole[start:] as data_set:
                digest = sha256(data_set).hexdigest()
        with _plain(content, start, transfer_syntax_uid, Path(path).parent, most_inflated_bytes) as (plain, at):
            header = Header.of(parse(plain, at, Encoding.of(transfer_syntax_uid)).attributes)
        size_bytes = len(content)

    found = {tag: _uid(header, tag) for tag in (SOP_CLASS_UID, SOP_INSTANCE_UID)}
    for tag, asked in ((SOP_CLASS_UID, sop_class_uid), (SOP_INSTANCE_UID, sop_instance_uid)):
        if found[tag] != asked.rstrip("\0 "):
            message = f"{keyword_for_tag(tag)}: data set has {found[tag]}, command has {asked}"
            raise Contradiction(message, offending=tag)
    return Arrival(
        association=association,
        path=path,
        header=header,
        study_instance_uid=_uid(header, STUDY_INSTANCE_UID),
        series_instance_uid=_uid(header, SERIES_INSTANCE_UID),
        sop_class_uid=found[SOP_CLASS_UID],
        sop_instance_uid=found[SOP_INSTANCE_UID],
        transfer_syntax_uid=transfer_syntax_uid,
        digest=digest,
        size_bytes=size_bytes,
        on_demand=on_demand,
        move_originator=move_originator,
    )


def content_digest(path: Path | str, transfer_syntax_uid: str, most_inflated_bytes: int = _MOST_INFLATED_BYTES) -> str:
    """SHA-256 of the value of the pixel data element as encoded, of a structure set that of its contours; else "".

    Raises
    ------
    CannotUnderstand, OSError
        As `read_arrival`.
    """
    _require_readable(path)
    with (
        _mapped(path) as content,
        _plain(content, _data_set_start(content), transfer_syntax_uid, Path(path).parent, most_inflated_bytes) as (
            plain,
            at,
        ),
    ):
        parsed = parse(plain, at, Encoding.of(transfer_syntax_uid))
        if not parsed.pixels_end:
            return parsed.contours
        with memoryview(plain) as whole, whole[parsed.pixels_start : parsed.pixels_end] as pixels:
            return sha256(pixels).hexdigest()


def _uid(header: Header, tag: int) -> str:
    keyword = keyword_for_tag(tag)
    value = header.text(keyword)
    if not value:
        raise NotUnderstood(f"{keyword}: missing, the data set needs one", offending=tag)
    if not is_uid(value):
        raise NotUnderstood(f"{keyword}: {value[: LONGEST_UID + 1]!r} is not a UID (PS3.5 9.1)", offending=tag)
    return value


def _data_set_start(content: mmap.mmap) -> int:
    """Offset of the data set behind preamble and file meta information (PS3.10 7.1)."""
    if content[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4] == b"DICM":
        group, element, vr, _, length = _META_GROUP_LENGTH.unpack_from(content, _PREAMBLE_BYTES + 4)
        start = _GROUP_LENGTH_END + int(length)
        if (group, element, vr) == (0x0002, 0x0000, b"UL") and start <= len(content):
            return start
    raise CannotUnderstand("file: no file meta information with its group length (PS3.10 7.1)")


def _require_readable(path: Path | str) -> None:
    """Read all of a file that has lain: what a failing disk does not give ends a process that has it mapped."""
    with Path(path).open("rb", buffering=0) as file:
        room = bytearray(_READ_BYTES)
        while file.readinto(room):
            pass


def _mapped(path: Path | str) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_size < _GROUP_LENGTH_END:
            raise CannotUnderstand("file: too short for file meta information (PS3.10 7.1)")
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)


@contextmanager
def _plain(
    content: mmap.mmap, start: int, transfer_syntax_uid: str, folder: Path, most_inflated_bytes: int
) -> Iterator[tuple[mmap.mmap, int]]:
    """The bytes of the data set that begins at `start`, inflated if need be, and where in them it begins."""
    if transfer_syntax_uid != DeflatedExplicitVRLittleEndian:
        yield content, start
        return
    with inflated(content, start, folder, most_inflated_bytes) as plain:
        yield plain, 0
