"""The verbs that say who may use the dashboard and the REST interface."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dicomnode.cli import app
from dicomnode.domain.role import Role
from dicomnode.store.database import Database
from dicomnode.store.web_people import WebPeople
from dicomnode.store.web_tokens import WebTokens

PASSCODE = "correct horse battery"


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "dicomnode.toml"
    path.write_text('[store]\nfolder = "store"\n')
    return path


def run(configuration: Path, *arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, ["web", *arguments, "--config", str(configuration)], input=typed)


def test_the_first_administrator_is_made_at_the_terminal_and_the_passcode_is_not_shown(configuration: Path) -> None:
    done = run(configuration, "user", "add", "anna", "--role", "administrator", typed=f"{PASSCODE}\n{PASSCODE}\n")
    assert done.exit_code == 0, done.output
    assert PASSCODE not in done.output and "anna may sign in as administrator" in done.output
    with closing(Database(configuration.parent / "store" / "node.db")) as db:
        found = WebPeople(db).proved("anna", PASSCODE)
        assert found is not None and found.role is Role.ADMINISTRATOR and not found.sees_names
    assert [one["name"] for one in json.loads(run(configuration, "user", "list", "--json").stdout)] == ["anna"]
    assert run(configuration, "user", "remove", "anna").exit_code == 0
    assert "none" in run(configuration, "user", "list").stdout


def test_a_token_of_a_scanner_may_store_and_nothing_else(configuration: Path) -> None:
    token = run(configuration, "token", "add", "ct1", "--role", "sender").stdout.strip()
    with closing(Database(configuration.parent / "store" / "node.db")) as db:
        found = WebTokens(db).bearer(token)
    assert found is not None and found.role is Role.SENDER and not Role.SENDER.covers(Role.VIEWER)
    refused = run(configuration, "user", "add", "ct2", "--role", "sender", typed=f"{PASSCODE}\n{PASSCODE}\n")
    assert refused.exit_code != 0 and "for tokens" in str(refused.exception)


def test_a_token_stands_alone_on_its_line_and_is_good_until_it_is_revoked(configuration: Path) -> None:
    token = run(configuration, "token", "add", "prometheus", "--days", "30").stdout.strip()
    with closing(Database(configuration.parent / "store" / "node.db")) as db:
        found = WebTokens(db).bearer(token)
        assert found is not None and found.role is Role.VIEWER and found.expires_at
        assert token not in run(configuration, "token", "list").stdout
        assert run(configuration, "token", "revoke", "prometheus").exit_code == 0
        assert WebTokens(db).bearer(token) is None
