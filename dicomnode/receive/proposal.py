"""Looks through the items of an A-ASSOCIATE-RQ before anything is made of them (PS3.8 9.3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

#: Longest A-ASSOCIATE-RQ: 128 contexts with 40 transfer syntaxes each take 200 KiB.
MOST_REQUEST_BYTES = 256 << 10

#: Presentation context IDs are the odd numbers of a byte (PS3.8 9.3.2.2).
MOST_CONTEXTS = 128

#: Abstract and transfer syntaxes of one context; the standard has about 60 transfer syntaxes (PS3.6 Annex A).
MOST_SYNTAXES = 64

#: Sub-items of the user information: one each of a few kinds, and three kinds once for each SOP class (PS3.7 D.3.3).
MOST_USER_ITEMS = 3 * MOST_CONTEXTS + 8

#: Protocol version, AE titles and reserved bytes stand before the items (PS3.8 Table 9-11).
_FIXED_BYTES = 68
_CONTEXT, _ABSTRACT, _USER = 0x20, 0x30, 0x50
_HEAD = Struct(">BxH")

#: Context ID and three reserved bytes stand before the syntaxes of a context (PS3.8 Table 9-13).
_CONTEXT_FIXED_BYTES = 4


def fault_of(body: bytes | bytearray) -> str:
    """What there is too much or too little of in the body of an A-ASSOCIATE-RQ; "" if nothing is."""
    contexts = 0
    for kind, item in _items(memoryview(body)[_FIXED_BYTES:]):
        if kind == _CONTEXT:
            contexts += 1
            if contexts > MOST_CONTEXTS:
                return f"more than {MOST_CONTEXTS} presentation contexts"
            if _count(item[_CONTEXT_FIXED_BYTES:]) > MOST_SYNTAXES:
                return f"a presentation context of more than {MOST_SYNTAXES} syntaxes"
            if not any(each == _ABSTRACT and uid for each, uid in _items(item[_CONTEXT_FIXED_BYTES:])):
                return "a presentation context without abstract syntax (PS3.8 9.3.2.2)"
        elif kind == _USER and _count(item) > MOST_USER_ITEMS:
            return f"more than {MOST_USER_ITEMS} items of user information"
    return ""


def _count(items: memoryview) -> int:
    return sum(1 for _ in _items(items))


def _items(rest: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Type and content of each item; one that is cut short ends the walk, and is for the decoder to complain of."""
    at = 0
    while at + _HEAD.size <= len(rest):
        kind, length = _HEAD.unpack_from(rest, at)
        yield kind, rest[at + _HEAD.size : at + _HEAD.size + length]
        at += _HEAD.size + length
