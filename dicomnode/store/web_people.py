"""The people who may sign in at the dashboard, and those who are signed in."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from sqlite3 import Row

from dicomnode.domain.clock import to_text
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.passcode import matches, new_salt, scrypted
from dicomnode.domain.role import Account, Role
from dicomnode.store.database import Database

#: Of a session and of a token; nobody guesses 256 bits.
SECRET_BYTES = 32


class WebPeople:
    """The rows of people and sessions; methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, name: str, passcode: str, role: Role, *, sees_names: bool) -> None:
        """Let a person sign in.

        Raises
        ------
        DicomNodeError
            The name is taken, by a person or a token: the audit trail tells callers apart by it.
        """
        ensure_free(self._db, name)
        salt = new_salt()
        self._db.execute(
            "INSERT INTO web_person VALUES (?, ?, ?, ?, ?, ?)",
            name, role.value, int(sees_names), salt, scrypted(passcode.encode(), salt), self._db.now(),
        )  # fmt: skip

    def remove(self, name: str) -> bool:
        """Forget a person and end their sessions; False if there is none of that name."""
        return self._db.execute("DELETE FROM web_person WHERE name = ?", name) == 1

    def change(self, name: str, role: Role, *, sees_names: bool) -> bool:
        """Give a person other rights, from their next request on; False if there is none of that name."""
        sql = "UPDATE web_person SET role = ?, sees_names = ? WHERE name = ?"
        return self._db.execute(sql, role.value, int(sees_names), name) == 1

    def change_passcode(self, name: str, passcode: str, *, session: str) -> None:
        """Give a person another passcode, and end their sessions but for one."""
        salt = new_salt()
        self._db.execute(
            "UPDATE web_person SET salt = ?, passcode = ? WHERE name = ?",
            salt, scrypted(passcode.encode(), salt), name,
        )  # fmt: skip
        self._db.execute("DELETE FROM web_session WHERE name = ? AND digest <> ?", name, digest(session))

    def all(self) -> list[Account]:
        """Everybody, by name."""
        return [account(row) for row in self._db.rows("SELECT *, '' AS expires_at FROM web_person ORDER BY name")]

    def has(self, name: str) -> bool:
        """Whether somebody has that name."""
        return self._db.row("SELECT 1 FROM web_person WHERE name = ?", name) is not None

    def proved(self, name: str, passcode: str) -> Account | None:
        """The person of that name, if the passcode is theirs; takes as long where nobody has that name."""
        row = self._db.row("SELECT *, '' AS expires_at FROM web_person WHERE name = ?", name)
        salt, wanted = (row["salt"], row["passcode"]) if row else (b"", b"")
        right = matches(passcode.encode(), salt, wanted)
        return account(row) if right and row is not None else None

    def begin(self, name: str, lasts: timedelta) -> str:
        """Begin a session; its secret, of which only a digest is kept. Sessions that are over are removed."""
        self._db.execute("DELETE FROM web_session WHERE expires_at <= ?", self._db.now())
        secret = secrets.token_urlsafe(SECRET_BYTES)
        self._db.execute(
            "INSERT INTO web_session VALUES (?, ?, ?, ?)",
            digest(secret), name, self._db.now(), to_text(self._db.clock() + lasts),
        )  # fmt: skip
        return secret

    def of_session(self, secret: str) -> Account | None:
        """Whose session this is, if it lasts."""
        row = self._db.row(
            "SELECT web_person.*, web_session.expires_at FROM web_session JOIN web_person USING (name)"
            " WHERE digest = ? AND web_session.expires_at > ?",
            digest(secret), self._db.now(),
        )  # fmt: skip
        return account(row) if row else None

    def end(self, secret: str) -> None:
        """End a session."""
        self._db.execute("DELETE FROM web_session WHERE digest = ?", digest(secret))


def digest(secret: str) -> bytes:
    """What is kept of a secret with full entropy."""
    return hashlib.sha256(secret.encode()).digest()


def account(row: Row) -> Account:
    """A person or token from its row."""
    return Account(
        name=row["name"], role=Role(row["role"]), sees_names=bool(row["sees_names"]), added_at=row["added_at"],
        expires_at=row["expires_at"],
    )  # fmt: skip


def ensure_free(db: Database, name: str) -> None:
    """Refuse a name that a person or a token has."""
    if db.row("SELECT name FROM web_person WHERE name = :name UNION SELECT name FROM web_token WHERE name = :name",
              name=name):  # fmt: skip
        raise DicomNodeError(f"{name}: a person or a token has this name already; take another or remove that first")
