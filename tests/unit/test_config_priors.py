"""What a rule may say about earlier studies, and what a peer's entry about fetching them."""

from __future__ import annotations

from typing import Any

import pytest

from dicomnode.config import parse
from dicomnode.domain.errors import ConfigError
from dicomnode.domain.prior import PriorWish

PACS = {"name": "PACS", "aet": "PACS", "host": "h", "port": 104, "accept_research": True}
RULE = {"name": "r", "model": "m", "series": {"Modality": "CT"}}


def faults(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        parse(document)
    return {fault.key: fault.remedy for fault in caught.value.faults}


def test_a_rule_that_says_nothing_wants_no_priors() -> None:
    assert parse({"peer": [PACS], "rule": [RULE]}).rules[0].priors is None


def test_a_rule_names_its_sources_and_has_limits_for_the_rest() -> None:
    rule = {**RULE, "priors": {"from": ["store", "PACS"]}}
    wish = parse({"peer": [PACS], "rule": [rule]}).rules[0].priors
    assert wish == PriorWish(
        sources=("store", "PACS"), within_days=1095, at_most=2, wait_seconds=3600
    )  # fmt: skip
    assert wish.peers == ("PACS",)


@pytest.mark.parametrize(
    ("priors", "key"),
    [
        ({"from": ["ARCHIVE"]}, "rule r.priors.from"),
        ({"from": []}, "rule[0].priors.from"),
        ({}, "rule[0].priors.from"),
        ({"from": ["PACS"], "at_most": 0}, "rule[0].priors.at_most"),
        ({"from": ["PACS"], "within_days": 0}, "rule[0].priors.within_days"),
        ({"from": ["PACS"], "wait_seconds": -1}, "rule[0].priors.wait_seconds"),
        ({"from": ["PACS"], "limit": 1}, "rule[0].priors.limit"),
    ],
)
def test_a_wish_that_leads_nowhere_is_a_fault(priors: dict[str, Any], key: str) -> None:
    assert key in faults({"peer": [PACS], "rule": [{**RULE, "priors": priors}]})


def test_no_peer_may_be_called_as_the_own_store() -> None:
    assert "own store" in faults({"peer": [{**PACS, "name": "store"}]})["peer.name"]


def test_a_peer_is_asked_to_move_unless_its_entry_says_get() -> None:
    assert parse({"peer": [PACS]}).peers[0].retrieve == "move"
    assert parse({"peer": [{**PACS, "retrieve": "get"}]}).peers[0].retrieve == "get"
    assert "peer[0].retrieve" in faults({"peer": [{**PACS, "retrieve": "fetch"}]})
