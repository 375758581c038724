"""How what a person or a peer proves itself with is kept: salted and hashed by scrypt."""

from __future__ import annotations

import hashlib
import hmac
import secrets

#: Cost, block size and parallelism of scrypt (RFC 7914 section 2): 16 MiB and some 50 ms for a try.
_COST, _BLOCKS, _LANES = 2**14, 8, 1
_SALT_BYTES = 16


def new_salt() -> bytes:
    """A salt for one passcode."""
    return secrets.token_bytes(_SALT_BYTES)


def scrypted(passcode: bytes, salt: bytes) -> bytes:
    """The hash of a passcode."""
    return hashlib.scrypt(passcode, salt=salt, n=_COST, r=_BLOCKS, p=_LANES)


def matches(passcode: bytes, salt: bytes, wanted: bytes) -> bool:
    """Whether this is the passcode; takes as long where there is none, told by an empty `wanted`."""
    return hmac.compare_digest(scrypted(passcode, salt), wanted) and bool(wanted)
