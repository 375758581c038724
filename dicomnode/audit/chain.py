"""Lines whose hashes depend on all lines before them, so that none can be changed, removed or inserted unseen."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

#: What the first line follows.
GENESIS = "0" * 64

#: The time stands as it is in the header of a syslog message, so that nothing else may be in its place.
_LINE = re.compile(
    rb"([1-9][0-9]{0,17}) ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z) ([0-9a-f]{64}) ([^\n]+)\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One line of the trail.

    Attributes
    ----------
    sequence
        From 1 on, without a gap.
    at
        When it was written, UTC by RFC 3339.
    hash
        SHA-256 in hexadecimal over the hash of the line before and the rest of this one.
    """

    sequence: int
    at: str
    hash: str
    message: bytes = field(repr=False)

    def line(self) -> bytes:
        """As it stands in the file."""
        return b"%d %s %s %s\n" % (self.sequence, self.at.encode(), self.hash.encode(), self.message)

    def follows(self, before: str) -> bool:
        """Whether the hash is the right one after a line with the hash `before`."""
        return self.hash == _hash(before, self.sequence, self.at, self.message)


def link(before: str, sequence: int, at: str, message: bytes) -> Link:
    """The line that follows one with the hash `before`."""
    return Link(sequence=sequence, at=at, hash=_hash(before, sequence, at, message), message=message)


def read(line: bytes) -> Link | None:
    """A line with its line break as it stands in the file; None if it is no line of a trail."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    sequence, at, digest, message = found.groups()
    return Link(sequence=int(sequence), at=at.decode(), hash=digest.decode(), message=message)


def _hash(before: str, sequence: int, at: str, message: bytes) -> str:
    return hashlib.sha256(b"%s %d %s %s" % (before.encode(), sequence, at.encode(), message)).hexdigest()
