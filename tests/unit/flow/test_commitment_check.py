"""What `dicomnode check` says of peers and storage commitment."""

from __future__ import annotations

from typing import Any

import pytest

from dicomnode.domain.errors import PeerUnreachable
from dicomnode.flow.commitment import check as commitment_check
from dicomnode.flow.commitment.check import committing
from dicomnode.flow.verdict import Verdict
from tests.unit.flow.committing import settings_of

SCANNER = {"name": "CT1", "aet": "CT1", "role": "modality", "committed_by": ["PACS"]}


@pytest.mark.parametrize(
    ("peers", "accepted", "verdict", "found"),
    [
        (({},), (True, True), Verdict.OK, "accepted; not used"),
        (({},), (False, True), Verdict.OK, "not accepted"),
        (({"commitment": True},), (True, False), Verdict.OK, "accepted"),
        (({"commitment": True},), (False, True), Verdict.FAIL, "not accepted"),
        (({"commitment": True, "verify": True},), (False, True), Verdict.OK, "asked by C-FIND instead"),
        (({"commitment": True, "verify": True},), (False, False), Verdict.FAIL, "not accepted"),
        (({"verify": True},), (False, False), Verdict.FAIL, "nor is C-FIND"),
        (({}, SCANNER), (False, True), Verdict.OK, "asked by C-FIND instead"),
        (({}, SCANNER), (False, False), Verdict.FAIL, "nor is C-FIND"),
    ],
)
def test_it_is_told_what_a_peer_accepts_and_what_that_means(
    monkeypatch: pytest.MonkeyPatch,
    peers: tuple[dict[str, Any], ...],
    accepted: tuple[bool, bool],
    verdict: Verdict,
    found: str,
) -> None:
    monkeypatch.setattr(commitment_check, "offers", lambda _peer, **_more: accepted)
    (check,) = committing(settings_of(*peers))
    assert check.subject == "PACS commits" and check.verdict is verdict and found in check.found
    assert bool(check.remedy) == (verdict is Verdict.FAIL)


def test_a_peer_that_is_away_is_told_of_once_by_the_check_of_the_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_peer: object, **_more: object) -> tuple[bool, bool]:
        raise PeerUnreachable("away")

    monkeypatch.setattr(commitment_check, "offers", away)
    assert list(committing(settings_of({}))) == []
