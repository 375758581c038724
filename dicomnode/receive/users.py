"""Verifies the user that a peer names when it asks for an association, against a file of hashed passcodes."""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path

import structlog
from pynetdicom.association import Association

from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.domain.passcode import matches, new_salt, scrypted
from dicomnode.tls.credentials import check_secret

log = structlog.get_logger(__name__)

#: User identity types (PS3.7 Table D.3-14): only this one carries something to verify without a third party.
USERNAME_AND_PASSCODE = 2

#: Compared with when there is no such user, so that a try takes as long as one for a user that exists.
_NOBODY = (b"", b"")


class Users:
    """The users in a file of lines `name:salt:hash`; read anew at every association, so that a change counts at once.

    Parameters
    ----------
    path
        The file; `hashed` makes its lines.

    Raises
    ------
    ConfigError
        The file cannot be read, or others than owner and group may.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries()

    def proved(self, association: Association) -> str | None:
        """The user that the request names with the right passcode, "" when it names none, None when it is wrong."""
        identity = association.requestor.user_identity
        if identity is None or identity.user_identity_type != USERNAME_AND_PASSCODE:
            return ""
        name = (identity.primary_field or b"").decode("utf-8", errors="replace")
        try:
            salt, wanted = self._entries().get(name, _NOBODY)
        except ConfigError as error:
            log.error("users_not_read", reason=str(error))
            return None
        return name if matches(identity.secondary_field or b"", salt, wanted) else None

    def _entries(self) -> dict[str, tuple[bytes, bytes]]:
        check_secret(self._path, "tls.users")
        found = {}
        for number, line in enumerate(self._path.read_bytes().splitlines(), start=1):
            if not line.strip() or line.startswith(b"#"):
                continue
            try:
                name, salt, wanted = line.decode("utf-8").strip().split(":")
                found[name] = (b64decode(salt, validate=True), b64decode(wanted, validate=True))
            except ValueError as error:
                remedy = f"line {number} is no user; `dicomnode passcode NAME` prints one"
                raise ConfigError([Fault(key="tls.users", value=str(self._path), remedy=remedy)]) from error
        return found


def hashed(name: str, passcode: str) -> str:
    """A line of the file for this user.

    Raises
    ------
    ConfigError
        The name cannot stand in a line.
    """
    if not name or ":" in name or name.startswith("#") or any(one.isspace() for one in name):
        raise ConfigError([Fault(key="NAME", value=name, remedy="a name without colon or space")])
    salt = new_salt()
    digest = scrypted(passcode.encode(), salt)
    return f"{name}:{b64encode(salt).decode()}:{b64encode(digest).decode()}"
