"""Tokens are kept when the schema learns what else they may be for."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from dicomnode.domain.role import Role
from dicomnode.store.database import Database, migrations, statements
from dicomnode.store.web_people import digest
from dicomnode.store.web_tokens import WebTokens


def test_a_token_of_an_earlier_schema_is_good_in_one_that_knows_senders(tmp_path: Path) -> None:
    scripts = migrations()
    schema = next(number for number, script in enumerate(scripts) if "'sender'" in script)
    with closing(sqlite3.connect(tmp_path / "node.db", isolation_level=None)) as old:
        for script in scripts[:schema]:
            for statement in statements(script):
                old.execute(statement)
        for name, expires_at in (("a", ""), ("b", "2999-01-01T00:00:00Z")):
            values = (name, "operator", 1, digest(f"secret of {name}"), "2026-01-01T00:00:00Z", expires_at)
            old.execute("INSERT INTO web_token VALUES (?, ?, ?, ?, ?, ?)", values)
        old.execute(f"PRAGMA user_version={schema}")
    with closing(Database(tmp_path / "node.db")) as db:
        for name in ("a", "b"):
            found = WebTokens(db).bearer(f"secret of {name}")
            assert found is not None and (found.name, found.role, found.sees_names) == (name, Role.OPERATOR, True)
        with db.transaction():
            sender = WebTokens(db).add("c", Role.SENDER, sees_names=False)
        found = WebTokens(db).bearer(sender)
        assert found is not None and found.role is Role.SENDER
