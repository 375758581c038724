"""Counting of connections, items and waiting, apart from any network."""

from __future__ import annotations

from dicomnode.receive.census import Census
from dicomnode.receive.pace import Pace
from dicomnode.receive.proposal import MOST_CONTEXTS, MOST_SYNTAXES, MOST_USER_ITEMS, fault_of


def item(kind: int, content: bytes) -> bytes:
    return bytes([kind, 0]) + len(content).to_bytes(2, "big") + content


FIXED = bytes(68)
SYNTAX = item(0x40, b"1.2.840.10008.1.2")
ABSTRACT = item(0x30, b"1.2.840.10008.1.1")


def test_waiting_beyond_patience_is_earned_by_bytes() -> None:
    pace = Pace(10.0, 100.0)
    pace.waited(10.0)
    assert pace.left_seconds == 0
    pace.received(500)
    assert pace.left_seconds == 5.0


def test_without_a_price_bytes_earn_nothing() -> None:
    pace = Pace(10.0)
    pace.received(1 << 20)
    pace.waited(11.0)
    assert pace.left_seconds == -1.0


def test_one_peer_leaves_room_for_another() -> None:
    census = Census(3, 2)
    assert census.associate(("a", 1), "scanner") == ""
    assert census.associate(("a", 2), "scanner") == ""
    assert census.associate(("a", 3), "scanner") == "2 associations of scanner are open, the limit is 2"
    assert census.associate(("b", 1), "archive") == ""
    assert census.associate(("c", 1), "router") == "3 associations are open, the limit is 3"
    census.leave(("a", 1))
    assert census.associate(("a", 3), "scanner") == ""


def test_silent_connections_of_one_address_leave_room_for_another() -> None:
    census = Census(3, 2)
    assert [census.connect(("a", port)) for port in range(4)] == [""] * 4
    assert census.connect(("a", 4)) == "4 connections of this address are open, the limit is 4"
    assert census.connect(("b", 0)) == ""
    assert census.connect(("c", 0)) == ""
    assert census.connect(("d", 0)) == "6 connections are open, the limit is 6"
    census.leave(("a", 0))
    assert census.connect(("a", 5)) == ""


def test_a_request_as_large_as_the_standard_allows_is_not_fault_of() -> None:
    context = item(0x20, bytes(4) + ABSTRACT + SYNTAX * (MOST_SYNTAXES - 1))
    user = item(0x50, item(0x54, b"\0\0\0\0") * MOST_USER_ITEMS)
    assert fault_of(FIXED + item(0x10, b"1.2.840.10008.3.1.1.1") + context * MOST_CONTEXTS + user) == ""


def test_too_many_items_of_any_kind_are_fault_of() -> None:
    context = item(0x20, bytes(4) + ABSTRACT + SYNTAX)
    assert "presentation contexts" in fault_of(FIXED + context * (MOST_CONTEXTS + 1))
    assert "syntaxes" in fault_of(FIXED + item(0x20, bytes(4) + SYNTAX * (MOST_SYNTAXES + 1)))
    assert "user information" in fault_of(FIXED + item(0x50, item(0x54, b"") * (MOST_USER_ITEMS + 1)))


def test_a_request_that_is_cut_short_is_left_to_the_decoder() -> None:
    context = item(0x20, bytes(4) + ABSTRACT + SYNTAX)
    whole = FIXED + context + item(0x50, b"")
    ends = [
        length for length in range(len(whole)) if not len(FIXED) + 4 <= length < len(FIXED) + len(context) - len(SYNTAX)
    ]
    assert [fault_of(whole[:length]) for length in ends] == [""] * len(ends)


def test_a_context_that_names_no_abstract_syntax_is_a_fault() -> None:
    for syntaxes in (b"", SYNTAX, item(0x30, b"") + SYNTAX):
        assert "abstract syntax" in fault_of(FIXED + item(0x20, bytes(4) + syntaxes))
