"""Bytes of the upper layer protocol (PS3.8 9.3), built by hand so that they may be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack

IMPLICIT, EXPLICIT = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1"
CT, VERIFICATION = b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.1.1"
CT_CONTEXT, ECHO_CONTEXT = 1, 3


def pdu(kind: int, body: bytes) -> bytes:
    """A PDU with its length."""
    return pack(">BxL", kind, len(body)) + body


def item(kind: int, content: bytes) -> bytes:
    """An item or sub-item of an A-ASSOCIATE."""
    return pack(">BxH", kind, len(content) & 0xFFFF) + content


def associate_rq(calling: bytes = b"FUZZ", called: bytes = b"NODE", *more: bytes) -> bytes:
    """A-ASSOCIATE-RQ for CT images and echoes (PS3.8 Table 9-11), with `more` items at its end."""
    fixed = pack(">HH", 1, 0) + called.ljust(16) + calling.ljust(16) + bytes(32)
    contexts = b"".join(
        item(0x20, bytes([number, 0, 0, 0]) + item(0x30, uid) + item(0x40, IMPLICIT) + item(0x40, EXPLICIT))
        for number, uid in ((CT_CONTEXT, CT), (ECHO_CONTEXT, VERIFICATION))
    )
    user = item(0x50, item(0x51, pack(">L", 16384)) + item(0x52, b"1.2.3") + item(0x55, b"FUZZ"))
    return pdu(1, fixed + item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + user + b"".join(more))


def pdata(*fragments: tuple[int, int, bytes]) -> bytes:
    """P-DATA-TF of fragments: context, control header, content (PS3.8 9.3.5, E.2)."""
    return pdu(4, b"".join(pack(">LBB", len(content) + 2, context, control) + content
                           for context, control, content in fragments))  # fmt: skip


def command(
    field: int, uid: bytes, *, message_id: int = 1, data: bool = False, instance: bytes = b"1.2.3.4.1"
) -> bytes:
    """A command set in Implicit VR Little Endian (PS3.7 6.3)."""
    elements: Sequence[tuple[int, bytes]] = (
        (0x0002, uid),
        (0x0100, pack("<H", field)),
        (0x0110, pack("<H", message_id)),
        (0x0700, pack("<H", 0)),
        (0x0800, pack("<H", 0x0001 if data else 0x0101)),
        *(((0x1000, instance),) if data else ()),
    )
    body = b"".join(
        pack("<HHL", 0, element, len(value) + len(value) % 2) + value + bytes(len(value) % 2)
        for element, value in elements
    )
    return pack("<HHLL", 0, 0, 4, len(body)) + body


C_STORE, C_FIND, C_ECHO, C_CANCEL, N_EVENT_REPORT, N_ACTION = 0x0001, 0x0020, 0x0030, 0x0FFF, 0x0100, 0x0130
RELEASE_RQ, RELEASE_RP, ABORT = pdu(5, bytes(4)), pdu(6, bytes(4)), pdu(7, bytes(4))
