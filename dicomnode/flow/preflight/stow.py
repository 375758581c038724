"""Tests whether the tokens and secrets are there by which peers and this node know each other on the web."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from dicomnode.config import Settings
from dicomnode.domain.clock import to_text
from dicomnode.flow.preflight.named import failed, faults
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.store.database import Database
from dicomnode.store.web_tokens import WebTokens


def web_services(settings: Settings) -> Iterator[Check]:
    """What is wrong with the files by which peers that are called over the web know this node; nobody is called."""
    for peer in settings.peers:
        for fault in faults(settings, f"peer {peer.name}"):
            yield failed(peer.name, fault)


def tokens(settings: Settings) -> Iterator[Check]:
    """Every token that a peer's entry names; opens the store, which has to be usable."""
    named = [peer for peer in settings.peers if peer.token]
    if not named:
        return
    with closing(Database(settings.store.folder / "node.db")) as db:
        accounts = {account.name: account for account in WebTokens(db).all()}
        now = to_text(db.clock())
    for peer in named:
        subject, account = f"token {peer.token} of {peer.name}", accounts.get(peer.token)
        if account is None:
            found, remedy = "there is none of that name", f"dicomnode web token add {peer.token} --role sender"
        elif account.expires_at and account.expires_at <= now:
            found, remedy = f"expired {account.expires_at}", "revoke it, and add one anew"
        else:
            yield Check(subject=subject, verdict=Verdict.OK, found="valid")
            continue
        yield Check(subject=subject, verdict=Verdict.FAIL, found=found, remedy=remedy)
