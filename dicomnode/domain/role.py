"""Who calls from outside DICOM, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a caller may do; each may also do what those before it may."""

    #: Stores objects by STOW-RS and nothing else: for the token of a scanner.
    SENDER = "sender"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"

    def covers(self, needed: Role) -> bool:
        """Whether who has this role may do what `needed` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person or a token that is in the books.

    Attributes
    ----------
    sees_names
        Whether it may see who the patients are.
    expires_at
        When it ends, as the database writes times; "" for never.
    """

    name: str
    role: Role
    sees_names: bool
    added_at: str
    expires_at: str = ""
