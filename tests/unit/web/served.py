"""An application on a store of its own, and clients with a token or a session."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from httpx import Client, Response

from dicomnode.audit.people import somebody
from dicomnode.config import Settings, parse
from dicomnode.config.tables import Models, Store
from dicomnode.domain.clock import Clock
from dicomnode.domain.role import Role
from dicomnode.flow.asked.accounts import Accounts
from dicomnode.store.database import Database
from dicomnode.web.access import COOKIE
from dicomnode.web.app import create_app
from dicomnode.web.desk import Desk

with warnings.catch_warnings():
    # It asks for another client than the one that is pinned.
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

PASSCODE = "correct horse battery staple"
PEER = {"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": 104, "accept_research": True}
RULE = {"name": "chest", "model": "m", "series": {"Modality": "CT"}}


class Served:
    """The application of a configuration, and who may use it."""

    def __init__(self, db: Database, folder: Path, clock: Clock, **tables: Any) -> None:
        self.settings = settings_of(db, folder, **tables)
        self.desk = Desk(settings=self.settings, clock=clock)
        self.app: FastAPI = create_app(self.desk)
        for rate in ("requests", "strangers", "wrong", "guessed", "paired", "invented"):
            # Otherwise tries would come back while a test runs, the more so on a busy machine.
            getattr(self.app.state, rate).monotonic = lambda: 0.0
        self.accounts = Accounts(db, self.settings, somebody("root"))

    def client(
        self, role: Role | None = None, *, sees_names: bool = False, base_url: str = "http://localhost",
        address: str = "testclient",
    ) -> Client:  # fmt: skip
        """A client with a token of this role; None for a stranger."""
        made = TestClient(self.app, base_url=base_url, raise_server_exceptions=False, client=(address, 50000))
        if role is not None:
            name = f"{role}-{'sees' if sees_names else 'blind'}"
            self._tokens = getattr(self, "_tokens", {})
            if name not in self._tokens:
                self._tokens[name] = self.accounts.add_token(name, role, sees_names=sees_names)
            made.headers["Authorization"] = f"Bearer {self._tokens[name]}"
        return made

    def person(self, name: str, role: Role, *, sees_names: bool = False) -> tuple[Client, str]:
        """A client with the session of a person, and what belongs to that session against forged requests."""
        self.accounts.add_person(name, PASSCODE, role, sees_names=sees_names)
        client = self.client()
        answer = client.post("/api/session", json={"name": name, "passcode": PASSCODE})
        assert answer.status_code == 200 and COOKIE in client.cookies
        return client, answer.json()["csrf_token"]


def settings_of(db: Database, folder: Path, **tables: Any) -> Settings:
    document: Mapping[str, Any] = {"peer": [PEER], "rule": [RULE], **tables}
    places = {"store": Store(folder=db.path.parent), "models": Models(folder=folder / "models")}
    return parse(document).model_copy(update=places)


def problem(answer: Response) -> tuple[int, str]:
    """Status and subject of what went wrong, which is always told in the same form."""
    told = answer.json()
    assert set(told) == {"subject", "found", "needed"}
    return answer.status_code, told["subject"]
