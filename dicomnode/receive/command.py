"""The command sets of a C-STORE, from bytes and to bytes (PS3.7 6.3.1, 9.3.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from dicomnode.receive.answer import Answer

_STORE_REQUEST, _STORE_RESPONSE = 0x0001, 0x8001
_NO_DATA_SET = 0x0101

#: Element numbers of group 0000 (PS3.7 E.1).
_SOP_CLASS, _FIELD, _MESSAGE, _ANSWERED, _PRIORITY, _DATA_SET = 0x0002, 0x0100, 0x0110, 0x0120, 0x0700, 0x0800
_STATUS, _OFFENDING, _COMMENT, _SOP_INSTANCE, _MOVE_ORIGINATOR = 0x0900, 0x0901, 0x0902, 0x1000, 0x1030

_HEAD, _NUMBER = Struct("<HHL"), Struct("<H")
_TAG = Struct("<HH")
_PDU_HEAD, _FRAGMENT_HEAD = Struct(">BxL"), Struct(">LBB")
_P_DATA, _COMMAND, _LAST_COMMAND = 0x04, 0x01, 0x03


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRequest:
    """A C-STORE-RQ (PS3.7 Table 9.3-1).

    Attributes
    ----------
    sop_class_uid, sop_instance_uid
        As sent, without padding; "" for one that is missing.
    move_originator
        The AE title that asked for a C-MOVE; "" for none.
    has_data_set
        Whether one follows.
    complete
        Whether nothing that is mandatory is missing.
    """

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    move_originator: str
    has_data_set: bool
    complete: bool


def store_request(command: bytes) -> StoreRequest | None:
    """A C-STORE-RQ that can be answered, from its whole command set; None for any other message.

    Raises
    ------
    ValueError, struct.error
        It is no command set.
    """
    values = dict(_elements(command))
    field, message_id = values.get(_FIELD), values.get(_MESSAGE)
    if field is None or message_id is None or _NUMBER.unpack(field)[0] != _STORE_REQUEST:
        return None
    sop_class_uid, sop_instance_uid, originator = (
        values.get(number, b"").decode("ascii", errors="replace").strip("\0 ")
        for number in (_SOP_CLASS, _SOP_INSTANCE, _MOVE_ORIGINATOR)
    )
    has_data_set = _DATA_SET in values and _NUMBER.unpack(values[_DATA_SET])[0] != _NO_DATA_SET
    return StoreRequest(
        message_id=_NUMBER.unpack(message_id)[0],
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        move_originator=originator,
        has_data_set=has_data_set,
        complete=bool(sop_class_uid and sop_instance_uid and has_data_set and _PRIORITY in values),
    )


def store_response(request: StoreRequest, told: Answer) -> bytes:
    """Command set of the C-STORE-RSP that says so."""
    uids = [uid.encode("ascii", errors="replace") for uid in (request.sop_class_uid, request.sop_instance_uid)]
    values = {
        _SOP_CLASS: uids[0],
        _FIELD: _NUMBER.pack(_STORE_RESPONSE),
        _ANSWERED: _NUMBER.pack(request.message_id),
        _DATA_SET: _NUMBER.pack(_NO_DATA_SET),
        _STATUS: _NUMBER.pack(told.status),
        _OFFENDING: b"" if told.offending is None else _TAG.pack(told.offending >> 16, told.offending & 0xFFFF),
        _COMMENT: told.comment.encode("ascii"),
        _SOP_INSTANCE: uids[1],
    }
    content = b"".join(_element(number, value) for number, value in values.items() if value)
    return _element(0x0000, len(content).to_bytes(4, "little")) + content


def command_pdus(context_id: int, command: bytes, longest: int) -> bytes:
    """A command set as P-DATA-TF PDUs of at most `longest` bytes (0: any length) (PS3.8 9.3.5)."""
    # A PDU has the head of its one fragment inside.
    most = max(longest - _FRAGMENT_HEAD.size, 1) if longest else len(command)
    pdus = []
    for start in range(0, len(command), most):
        part = command[start : start + most]
        control = _LAST_COMMAND if start + most >= len(command) else _COMMAND
        fragment = _FRAGMENT_HEAD.pack(len(part) + 2, context_id, control) + part
        pdus.append(_PDU_HEAD.pack(_P_DATA, len(fragment)) + fragment)
    return b"".join(pdus)


def fragments(body: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Context and content, control header first, of each presentation data value of a P-DATA-TF (PS3.8 9.3.5.1).

    Raises
    ------
    ValueError, struct.error
        Its lengths contradict each other.
    """
    at = 0
    while at < len(body):
        length, context_id, _control = _FRAGMENT_HEAD.unpack_from(body, at)
        at += 4
        if length < 2 or at + length > len(body):
            raise ValueError(f"presentation data value of {length} bytes where {len(body) - at} are left")
        yield context_id, body[at + 1 : at + length]
        at += length


def _elements(command: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(command):
        group, number, length = _HEAD.unpack_from(command, at)
        at += _HEAD.size
        if group or at + length > len(command):
            raise ValueError(f"({group:04X},{number:04X}) with {length} bytes, where {len(command) - at} are left")
        yield number, command[at : at + length]
        at += length


def _element(number: int, value: bytes) -> bytes:
    # UIDs are padded with a zero, texts with a space (PS3.5 6.2); numbers have even lengths anyway.
    padding = (b" " if number == _COMMENT else b"\0") * (len(value) % 2)
    return _HEAD.pack(0x0000, number, len(value) + len(padding)) + value + padding
