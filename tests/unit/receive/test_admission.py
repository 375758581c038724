"""Who may open an association."""

from __future__ import annotations

import tomllib

import pytest

from dicomnode.domain.certificate import Certificate
from dicomnode.domain.network import Peer, Shown
from dicomnode.receive.admission import Admission, Admitted, Rejected

PACS = Peer(name="PACS", aet="ORTHANC", host="192.0.2.10", port=4242)
ROUTER = Peer(name="router", aet="ROUTER", host="router.example", port=104, addresses=("198.51.100.0/24",))
TWINS = (
    Peer(name="ct1", aet="CT", host="192.0.2.21", port=104),
    Peer(name="ct2", aet="CT", host="192.0.2.22", port=104),
)


def admission(*, accept_unknown: bool = False) -> Admission:
    aets = frozenset({"NODE", "NODE_NOW"})
    return Admission(peers=(PACS, ROUTER, *TWINS), called_aets=aets, accept_unknown=accept_unknown)


@pytest.mark.parametrize(
    ("calling", "called", "address", "peer"),
    [
        ("ORTHANC", "NODE", "192.0.2.10", "PACS"),
        ("ORTHANC  ", " NODE_NOW", "::ffff:192.0.2.10", "PACS"),
        ("ROUTER", "NODE", "198.51.100.77", "router"),
        ("CT", "NODE", "192.0.2.22", "ct2"),
    ],
)
def test_a_configured_peer_is_admitted_by_its_name(calling: str, called: str, address: str, peer: str) -> None:
    assert admission().judge(calling, called, address) == Admitted(peer=peer)


def test_a_wrong_called_title_is_rejected_with_reason_7() -> None:
    verdict = admission(accept_unknown=True).judge("ORTHANC", "ELSE", "192.0.2.10")

    assert isinstance(verdict, Rejected)
    assert (verdict.result, verdict.source, verdict.reason, verdict.toml_lines) == (1, 1, 7, "")
    assert "'ELSE'" in verdict.text
    assert "NODE, NODE_NOW" in verdict.text


def test_an_unknown_caller_is_rejected_with_the_lines_that_would_admit_it() -> None:
    verdict = admission().judge("NEW_CT", "NODE", "203.0.113.9")

    assert isinstance(verdict, Rejected)
    assert (verdict.result, verdict.source, verdict.reason) == (1, 1, 3)
    added = Peer(**tomllib.loads(verdict.toml_lines)["peer"][0])
    again = Admission(peers=(PACS, added), called_aets=frozenset({"NODE"}))
    assert again.judge("NEW_CT", "NODE", "203.0.113.9") == Admitted(peer="NEW_CT")


def test_an_unknown_caller_may_be_accepted_without_a_name() -> None:
    assert admission(accept_unknown=True).judge("NEW_CT", "NODE", "203.0.113.9") == Admitted(peer="")


@pytest.mark.parametrize("accept_unknown", [False, True])
def test_a_known_title_from_another_address_is_rejected_naming_both(accept_unknown: bool) -> None:
    verdict = admission(accept_unknown=accept_unknown).judge("ORTHANC", "NODE", "203.0.113.9")

    assert isinstance(verdict, Rejected)
    assert (verdict.result, verdict.source, verdict.reason) == (1, 1, 3)
    assert "203.0.113.9" in verdict.text
    assert "192.0.2.10" in verdict.text
    assert tomllib.loads(verdict.toml_lines)["addresses"] == ["192.0.2.10/32", "203.0.113.9/32"]


def test_titles_with_quotes_still_make_valid_toml() -> None:
    verdict = admission().judge('A"B', "NODE", "203.0.113.9")

    assert isinstance(verdict, Rejected)
    assert tomllib.loads(verdict.toml_lines)["peer"][0]["aet"] == 'A"B'


CT1 = Certificate.of({"subject": ((("organizationName", "Hospital"),), (("commonName", "ct1"),))})
GUARDED = Peer(name="ct1", aet="CT1", host="192.0.2.7", port=104, certificate_subject="CN=ct1, O=Hospital", user="scan")


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (Shown(), "may call over TLS alone"),
        (Shown(secure=True, user="scan"), "showed no certificate"),
        (Shown(secure=True, certificate=Certificate.of({}), user="scan"), "needed for ct1: 'CN=ct1, O=Hospital'"),
        (Shown(secure=True, certificate=CT1), "proved no user"),
        (Shown(secure=True, certificate=CT1, user="other"), "proved no user"),
    ],
)
@pytest.mark.parametrize("accept_unknown", [False, True])
def test_who_does_not_show_what_its_entry_asks_for_is_rejected(shown: Shown, why: str, accept_unknown: bool) -> None:
    guarded = Admission(peers=(GUARDED,), called_aets=frozenset({"NODE"}), accept_unknown=accept_unknown)
    verdict = guarded.judge("CT1", "NODE", "192.0.2.7", shown)
    assert isinstance(verdict, Rejected)
    assert (verdict.result, verdict.source, verdict.reason) == (1, 1, 3)
    assert why in verdict.text and verdict.toml_lines == ""


def test_who_shows_everything_is_admitted_from_its_address_alone() -> None:
    guarded = Admission(peers=(GUARDED,), called_aets=frozenset({"NODE"}))
    shown = Shown(secure=True, certificate=CT1, user="scan")
    assert guarded.judge("CT1", "NODE", "192.0.2.7", shown) == Admitted(peer="ct1")
    assert isinstance(guarded.judge("CT1", "NODE", "192.0.2.8", shown), Rejected)
