"""Verifies the user that a peer names when it asks for an association, against a file of hashed passcodes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from pathlib import Path

from pynetdicom.association import Association

from dicomnode.domain.errors import ConfigError, Fault

#: User identity types (PS3.7 Table D.3-14): only this one carries something to verify without a third party.
USERNAME_AND_PASSCODE = 2

#: Cost, block size and parallelism of scrypt (RFC 7914 section 2): 16 MiB and some 50 ms for a try.
_COST, _BLOCKS, _LANES = 2**14, 8, 1
_SALT_BYTES = 16

#: Compared with when there is no such user, so that a try takes as long as one for a user that exists.
_NOBODY = ("", "")


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
        salt, wanted = self._entries().get(name, _NOBODY)
        given = _hash(identity.secondary_field or b"", b64decode(salt))
        return name if wanted and hmac.compare_digest(given, wanted) else None

    def _entries(self) -> dict[str, tuple[str, str]]:
        fault = Fault(key="tls.users", value=str(self._path), remedy="a file of mode 0600 that the node's account reads")
        try:
            if self._path.stat().st_mode & 0o007:
                raise ConfigError([fault])
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ConfigError([fault]) from error
        found = {}
        for line in lines:
            if line.strip() and not line.startswith("#"):
                name, _, rest = line.strip().partition(":")
                salt, _, wanted = rest.partition(":")
                found[name] = (salt, wanted)
        return found


def hashed(name: str, passcode: str) -> str:
    """A line of the file for this user."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"{name}:{b64encode(salt).decode()}:{_hash(passcode.encode(), salt)}"


def _hash(passcode: bytes, salt: bytes) -> str:
    return b64encode(hashlib.scrypt(passcode, salt=salt, n=_COST, r=_BLOCKS, p=_LANES)).decode()
