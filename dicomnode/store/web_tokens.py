"""The bearer tokens of programs that use the REST interface."""

from __future__ import annotations

import secrets
from datetime import timedelta

from dicomnode.domain.clock import to_text
from dicomnode.domain.role import Account, Role
from dicomnode.store.database import Database
from dicomnode.store.web_people import SECRET_BYTES, account, digest, ensure_free


class WebTokens:
    """The rows of tokens; methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, name: str, role: Role, *, sees_names: bool, lasts: timedelta | None = None) -> str:
        """Make a token; it is returned this once, and only its digest is kept.

        Raises
        ------
        DicomNodeError
            The name is taken, by a person or a token.
        """
        ensure_free(self._db, name)
        token = secrets.token_urlsafe(SECRET_BYTES)
        self._db.execute(
            "INSERT INTO web_token VALUES (?, ?, ?, ?, ?, ?)",
            name, role.value, int(sees_names), digest(token), self._db.now(),
            to_text(self._db.clock() + lasts) if lasts else "",
        )  # fmt: skip
        return token

    def revoke(self, name: str) -> bool:
        """Forget a token; False if there is none of that name."""
        return self._db.execute("DELETE FROM web_token WHERE name = ?", name) == 1

    def all(self) -> list[Account]:
        """Every token, also those that have expired, by name."""
        return [account(row) for row in self._db.rows("SELECT * FROM web_token ORDER BY name")]

    def bearer(self, token: str) -> Account | None:
        """Whose token this is, if it is valid now."""
        row = self._db.row(
            "SELECT * FROM web_token WHERE digest = ? AND (expires_at = '' OR expires_at > ?)",
            digest(token), self._db.now(),
        )  # fmt: skip
        return account(row) if row else None
