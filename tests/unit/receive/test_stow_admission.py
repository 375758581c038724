"""As whom a caller without an AE title is let in."""

from __future__ import annotations

import pytest

from dicomnode.domain.certificate import Certificate
from dicomnode.domain.network import Peer, Shown
from dicomnode.receive.stow_admission import admitted

NOTHING = Shown()


def peer(name: str, *, token: str = "", certificate_subject: str = "") -> Peer:
    return Peer(name=name, aet=name, host="10.0.0.5", port=104, token=token, certificate_subject=certificate_subject)


def badge(name: str) -> Shown:
    return Shown(secure=True, certificate=Certificate(names=frozenset({("commonName", name)}), subject=f"CN={name}"))


PEERS = (
    peer("PLAIN"),
    peer("TOKEN", token="t"),
    peer("BADGE", certificate_subject="CN=badge"),
    peer("BOTH", token="b", certificate_subject="CN=both"),
)


@pytest.mark.parametrize(
    ("token", "shown", "name"),
    [
        ("t", NOTHING, "TOKEN"),
        ("t", badge("whoever"), "TOKEN"),
        ("", badge("badge"), "BADGE"),
        ("b", badge("both"), "BOTH"),
    ],
)
def test_who_shows_what_its_entry_asks_for_is_that_peer(token: str, shown: Shown, name: str) -> None:
    found = admitted(PEERS, "10.0.0.5", token, shown)
    assert isinstance(found, Peer) and found.name == name


@pytest.mark.parametrize(
    ("token", "shown"), [("", NOTHING), ("x", NOTHING), ("b", NOTHING), ("", badge("both")), ("", badge("whoever"))]
)
def test_who_lacks_something_is_nobody(token: str, shown: Shown) -> None:
    assert "no [[peer]] is known by that" in str(admitted(PEERS, "10.0.0.5", token, shown))


def test_who_calls_from_elsewhere_is_told_apart() -> None:
    assert admitted(PEERS, "10.0.0.6", "t", NOTHING) == "configured as TOKEN at 10.0.0.5"
