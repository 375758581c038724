"""Damages bytes in the ways in which files and attackers do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

#: Lengths and numbers at which readers go wrong.
_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)

#: Tags and VRs that change how the rest is read.
_TOKENS = (
    b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0", b"\xe0\x7f\x10\x00", b"\x28\x00\x10\x00",
    b"\x28\x00\x11\x00", b"\x28\x00\x08\x00", b"\x08\x00\x05\x00", b"SQ", b"UN", b"OB", b"OW", b"US", b"DS", b"PN",
    b"\xff\xff\xff\xff", b"\x00" * 8, b"\\", b"../../", b"\x1b$B", b"1e999", b"nan",
)  # fmt: skip

Mutation = Callable[[bytearray, Random], None]


def _flip(data: bytearray, random: Random) -> None:
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _replace(data: bytearray, random: Random) -> None:
    data[random.randrange(len(data))] = random.randrange(256)


def _edge(data: bytearray, random: Random) -> None:
    width = random.choice((1, 2, 4))
    at = random.randrange(len(data))
    value = random.choice(_EDGES) & ((1 << 8 * width) - 1)
    data[at : at + width] = value.to_bytes(width, random.choice(("little", "big")))


def _token(data: bytearray, random: Random) -> None:
    at, token = random.randrange(len(data)), random.choice(_TOKENS)
    data[at : at + (len(token) if random.random() < 0.7 else 0)] = token


def _cut(data: bytearray, random: Random) -> None:
    at = random.randrange(len(data))
    del data[at : at + random.choice((1, 2, 8, 64, 1 << 20))]


def _repeat(data: bytearray, random: Random) -> None:
    at = random.randrange(len(data))
    piece = data[at : at + random.choice((1, 8, 64, 512))]
    data[at:at] = piece * random.choice((1, 2, 50))


def _move(data: bytearray, random: Random) -> None:
    at, to = random.randrange(len(data)), random.randrange(len(data))
    piece = data[at : at + random.choice((4, 16, 128))]
    data[to:to] = piece


_MUTATIONS: tuple[Mutation, ...] = (_flip, _replace, _edge, _edge, _token, _token, _cut, _repeat, _move)


def mutated(data: bytes, random: Random, *, start: int = 0) -> bytes:
    """`data` with one to eight kinds of damage from `start` on."""
    tail = bytearray(data[start:])
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        if tail:
            random.choice(_MUTATIONS)(tail, random)
    return data[:start] + bytes(tail)


def spliced(one: bytes, other: bytes, random: Random) -> bytes:
    """The beginning of one and the end of the other."""
    return one[: random.randrange(len(one) + 1)] + other[random.randrange(len(other) + 1) :]


def chosen(seeds: Sequence[bytes], random: Random) -> bytes:
    """One of the seeds, now and then grown together with another."""
    one = random.choice(seeds)
    return spliced(one, random.choice(seeds), random) if random.random() < 0.1 else one
