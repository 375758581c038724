"""Names that stand for other names: the same for the same secret, and without it nothing leads back."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass, field

#: Dates move back by 1 to 3650 days: never into the future, and nobody can tell within ten years where from.
_LONGEST_SHIFT_DAYS = 3650

#: Below 128 bits a secret could be found by trying; RFC 2104 section 3 asks for the length of the hash.
SHORTEST_SECRET_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Pseudonyms:
    """Pseudonyms by HMAC-SHA-256 (RFC 2104) under one secret.

    Whoever has the secret can repeat the mapping, not reverse it; who has not can do neither, although
    there are few possible patient IDs.

    Raises
    ------
    ValueError
        If the secret is too short to be one.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < SHORTEST_SECRET_BYTES:
            raise ValueError(f"the secret has {len(self.secret)} bytes, needed are {SHORTEST_SECRET_BYTES}")

    def uid(self, uid: str) -> str:
        """The UID that stands for `uid`, under 2.25 (PS3.5 B.2)."""
        return f"2.25.{uuid.UUID(bytes=self._digest('uid', uid)[:16], version=4).int}"

    def name(self, kind: str, value: str, length: int = 12) -> str:
        """Capital letters and digits that stand for `value`; names of different kinds do not betray each other."""
        return self._digest(kind, value).hex()[:length].upper()

    def shift_days(self, patient: str) -> int:
        """By how many days the dates of a patient move back; the same for all, so that intervals stay."""
        return 1 + int.from_bytes(self._digest("shift", patient)[:8]) % _LONGEST_SHIFT_DAYS

    def _digest(self, kind: str, value: str) -> bytes:
        return hmac.digest(self.secret, f"{kind}\x1f{value}".encode(), hashlib.sha256)
