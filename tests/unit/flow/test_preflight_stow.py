"""Tokens of peers, as the check finds them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from dicomnode.config import parse
from dicomnode.domain.role import Role
from dicomnode.flow.inquiry import asker
from dicomnode.flow.preflight.stow import tokens
from dicomnode.flow.verdict import Verdict
from dicomnode.store.database import Database
from dicomnode.store.web_tokens import WebTokens
from tests.conftest import Hands


def test_a_token_that_is_not_in_the_books_is_found_out(db: Database, clock: Hands, tmp_path: Path) -> None:
    names = ("good", "old", "missing")
    entries = [{"name": one, "aet": "A", "host": "h", "port": 104, "token": one} for one in names]
    tls = {"certificate": "c", "key": "k"}
    settings = parse({"store": {"folder": str(db.path.parent)}, "stow": {"port": 1}, "tls": tls, "peer": entries})
    clock.now -= timedelta(days=9000)
    with db.transaction():
        WebTokens(db).add("good", Role.SENDER, sees_names=False)
        WebTokens(db).add("old", Role.VIEWER, sees_names=False, lasts=timedelta(days=1))
    found = [(one.verdict, one.found) for one in tokens(settings)]
    assert [verdict for verdict, _ in found] == [Verdict.OK, Verdict.FAIL, Verdict.FAIL]
    assert found[1][1].startswith("expired") and "none of that name" in found[2][1]


def test_a_peer_on_the_web_is_believed_what_is_presumed_of_it() -> None:
    entry = {"name": "P", "aet": "P", "host": "h", "port": 0, "stow": "http://127.0.0.1/dicom-web"}
    settings = parse({"peer": [entry]})
    assert asker(settings, lambda peer: {(peer.name, "x"): 0})(settings.peers[0]) == {("P", "x"): 0}
