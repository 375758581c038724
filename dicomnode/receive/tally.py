"""Who counts what was not taken."""

from __future__ import annotations

from typing import Protocol

from dicomnode.domain.errors import Refused


class Tally(Protocol):
    """Counts what was not taken; called from one thread per association."""

    def association(self, *, full: bool) -> None:
        """A caller was rejected; `full`: for want of room."""

    def refused(self, refusal: Refused) -> None:
        """An object was refused."""
