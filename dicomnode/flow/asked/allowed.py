"""What names, passcodes and roles people and tokens may have."""

from __future__ import annotations

import re

from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.role import Role

#: As of rules, so that a name stands unharmed in addresses, logs and the audit trail.
NAME = r"[\w.@-]{1,64}"

#: NIST SP 800-63B-4 3.1.1.2 wants 15 characters where nothing else is asked for, and no rules of composition.
SHORTEST_PASSCODE = 15
_LONGEST_PASSCODE = 256


def require_name(name: str) -> None:
    """Refuse a name that would not stand unharmed everywhere (DicomNodeError)."""
    if not re.fullmatch(NAME, name, re.ASCII):
        raise DicomNodeError(f"name: found {name!r}, needed 1 to 64 letters, digits or any of . _ @ -")


def require_of_people(role: Role) -> None:
    """Refuse a role that is for tokens (DicomNodeError)."""
    if role is Role.SENDER:
        raise DicomNodeError(f"role: found {role}, which is for tokens, needed one that may see a page")


def require_long(passcode: str) -> None:
    """Refuse a passcode that is too short or too long (DicomNodeError)."""
    if not SHORTEST_PASSCODE <= len(passcode) <= _LONGEST_PASSCODE:
        raise DicomNodeError(
            f"passcode: found {len(passcode)} characters, needed {SHORTEST_PASSCODE} to {_LONGEST_PASSCODE};"
            " several words are good"
        )


def require_grantable(sees_names: bool, *, grants: bool) -> None:
    """Refuse to let others see names where whoever does it may not grant that (DicomNodeError)."""
    if sees_names and not grants:
        raise DicomNodeError(
            "patient names: found a caller who may not see them, needed one who may, or the terminal of the node"
        )


def rights(role: Role, sees_names: bool) -> str:
    """What somebody may, as the audit trail has it."""
    return f" as {role}" + (" who sees patient names" if sees_names else "")
