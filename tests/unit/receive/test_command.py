"""Command sets and PDUs as bytes, held against pynetdicom's own."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import CTImageStorage
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import P_DATA_TF

from dicomnode.domain.errors import CannotUnderstand
from dicomnode.receive.answer import Answer, answer
from dicomnode.receive.command import StoreRequest, command_pdus, fragments, store_request, store_response
from dicomnode.receive.refusal import NotUnderstood


def request(**changed: object) -> C_STORE:
    made = C_STORE()
    made.MessageID, made.Priority = 7, 2
    made.AffectedSOPClassUID, made.AffectedSOPInstanceUID = CTImageStorage, "1.2.345"
    made.DataSet = BytesIO(bytes(10))
    for name, value in changed.items():
        setattr(made, name, value)
    return made


def command_of(primitive: C_STORE | C_ECHO, message: C_STORE_RQ | C_ECHO_RQ) -> bytes:
    message.primitive_to_message(primitive)
    values = [one for part in message.encode_msg(1, 0) for one in part.presentation_data_value_list]
    return b"".join(content[1:] for _context, content in values if content[0] & 1)


def test_a_request_is_read_as_pynetdicom_writes_it() -> None:
    found = store_request(command_of(request(MoveOriginatorApplicationEntityTitle="WS1"), C_STORE_RQ()))
    assert found == StoreRequest(
        message_id=7, sop_class_uid=CTImageStorage, sop_instance_uid="1.2.345", move_originator="WS1",
        has_data_set=True, complete=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "without", [{"AffectedSOPInstanceUID": None}, {"AffectedSOPClassUID": None}, {"DataSet": None}]
)
def test_what_is_mandatory_and_missing_is_told(without: dict[str, None]) -> None:
    found = store_request(command_of(request(**without), C_STORE_RQ()))
    assert found is not None and not found.complete
    assert found.has_data_set == ("DataSet" not in without)


def test_any_other_message_is_not_for_us() -> None:
    echo = C_ECHO()
    echo.MessageID = 1
    assert store_request(command_of(echo, C_ECHO_RQ())) is None


@given(st.binary(max_size=80))
def test_bytes_that_are_no_command_set_are_a_decoding_fault_or_another_message(content: bytes) -> None:
    try:
        assert store_request(content) is None
    except (ValueError, struct.error):
        return


@pytest.mark.parametrize(
    "told",
    [answer(None), answer(CannotUnderstand("cut short")), answer(NotUnderstood("no study", offending=0x0020000D))],
)
@pytest.mark.parametrize("longest", [0, 30, 16384])
def test_pynetdicom_reads_the_answer_in_pdus_of_any_length(told: Answer, longest: int) -> None:
    read = store_request(command_of(request(), C_STORE_RQ()))
    assert read is not None
    content = command_pdus(5, store_response(read, told), longest)
    message, at, done = C_STORE_RSP(), 0, False
    while at < len(content):
        length = 6 + struct.unpack_from(">L", content, at + 2)[0]
        assert not longest or length - 6 <= longest
        pdu = P_DATA_TF()
        pdu.decode(content[at : at + length])
        done = message.decode_msg(pdu.to_primitive())
        at += length
    assert done
    heard = message.message_to_primitive()
    assert isinstance(heard, C_STORE)
    assert (heard.MessageIDBeingRespondedTo, heard.Status) == (7, told.status)
    assert (heard.AffectedSOPClassUID, heard.AffectedSOPInstanceUID) == (CTImageStorage, "1.2.345")
    assert (getattr(heard, "ErrorComment", None) or "") == told.comment
    assert heard.OffendingElement == told.offending


def test_several_values_of_one_pdu_come_in_their_order() -> None:
    body = struct.pack(">LBB", 4, 1, 3) + b"ab" + struct.pack(">LBB", 3, 3, 2) + b"c"
    with memoryview(body) as view:
        assert [(context, bytes(content)) for context, content in fragments(view)] == [(1, b"\3ab"), (3, b"\2c")]


@pytest.mark.parametrize("body", [struct.pack(">LBB", 9, 1, 3), struct.pack(">LBB", 1, 1, 3), b"\0\0\0"])
def test_lengths_that_contradict_each_other_are_a_fault(body: bytes) -> None:
    with memoryview(body) as view, pytest.raises((ValueError, struct.error)):
        list(fragments(view))
