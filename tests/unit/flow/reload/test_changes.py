"""What changed is said key by key, secrets are not shown, and what only a restart can take is refused."""

from __future__ import annotations

from typing import Any

import pytest

from dicomnode.config import Settings, parse
from dicomnode.flow.reload.changes import changes, needs_restart

PEER = {"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": 104, "accept_research": True}
BACKUP = {**PEER, "name": "BACKUP", "aet": "BACKUP"}
RULE = {"name": "chest-ct", "model": "lung-ct", "series": {"Modality": "CT"}, "destinations": ["PACS"]}


def settings(**tables: Any) -> Settings:
    return parse({"peer": [PEER, BACKUP], "rule": [RULE], **tables})


def told(**tables: Any) -> list[str]:
    return changes(settings(), settings(**tables))


def test_the_same_configuration_has_no_changes() -> None:
    assert changes(settings(), settings()) == []


def test_a_changed_list_of_a_rule_is_shown_before_and_after() -> None:
    rule = {**RULE, "destinations": ["PACS", "BACKUP"]}
    assert told(rule=[rule]) == ['rule chest-ct: destinations ["PACS"] → ["PACS", "BACKUP"]']


def test_conditions_are_shown_as_the_file_writes_them() -> None:
    rule = {**RULE, "series": {"Modality": "CT", "SliceThickness": {"at_most": 5.0, "or_missing": True}}}
    assert told(rule=[rule]) == ['rule chest-ct: series.SliceThickness none → {"at_most": 5, "or_missing": true}']
    other = {**RULE, "series": {"Modality": {"any_of": ["CT", "PT"]}}}
    assert told(rule=[other]) == ['rule chest-ct: series.Modality {"equals": "CT"} → {"any_of": ["CT", "PT"]}']
    inputs = {**RULE, "inputs": {"pet": {"Modality": {"not": {"equals": "CT"}}}}}
    assert len(told(rule=[inputs])) == 1 and told(rule=[inputs])[0].startswith(
        "rule chest-ct: inputs.pet.Modality none"
    )


def test_entries_that_come_and_go_are_told_by_name() -> None:
    assert told(rule=[]) == ["rule chest-ct: removed"]
    new = {**RULE, "name": "new", "shadow": True}
    assert told(rule=[RULE, new]) == [
        'rule new: added (model "lung-ct", outputs ["seg", "sr"], destinations ["PACS"], shadow true)'
    ]
    assert told(peer=[PEER]) == ["peer BACKUP: removed"]


def test_a_table_is_told_of_by_its_keys() -> None:
    assert told(node={"drain_seconds": 30}, log={"level": "debug"}) == [
        "node.drain_seconds: 20 → 30", 'log.level: "info" → "debug"'
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"heartbeat": {"url": "https://a.example/a-secret"}}, {"heartbeat": {"url": "https://a.example/b-secret"}}),
        ({"deidentify": {"secret_file": "a-secret"}}, {"deidentify": {"secret_file": "b-secret"}}),
    ],
)  # fmt: skip
def test_what_may_be_secret_is_not_shown(old: dict[str, Any], new: dict[str, Any]) -> None:
    (line,) = changes(settings(**old), settings(**new))
    assert line.endswith("changed; not shown") and "b-secret" not in line


@pytest.mark.parametrize(
    ("table", "key"), [({"node": {"port": 4242}}, "node.port"), ({"store": {"folder": "/elsewhere"}}, "store.folder")]
)
def test_what_is_bound_at_the_start_is_refused_in_a_sentence(table: dict[str, Any], key: str) -> None:
    (fault,) = needs_restart(settings(), settings(**table))
    assert fault.key == key and "restart the node" in fault.remedy
    assert needs_restart(settings(), settings(rule=[])) == []


def test_every_key_of_a_rule_and_a_peer_that_changes_is_told() -> None:
    """A key that is added to the configuration some day must not be forgotten here."""
    more = {
        "outputs": ["sr"], "use": "clinical", "deadline_seconds": 9, "priority": 3, "enabled": False,
        "shadow_model": "x", "priors": {"from": ["store"]}, "keep_days": {"inputs": 3}, "model": "other",
    }  # fmt: skip
    lines = told(rule=[{**RULE, **more}])
    assert {line.split()[2] for line in lines} == set(more)


def test_an_order_that_decides_is_a_change_of_its_own() -> None:
    """The first peer that suits is the caller, the first rule that suits takes a round trip."""
    other = {**RULE, "name": "second"}
    before = settings(rule=[RULE, other])
    assert changes(before, settings(rule=[other, RULE])) == [
        'order of rules: ["chest-ct", "second"] → ["second", "chest-ct"]'
    ]
    assert told(peer=[BACKUP, PEER]) == ['order of peers: ["PACS", "BACKUP"] → ["BACKUP", "PACS"]']
    assert told(peer=[PEER, {**PEER, "name": "NEW"}, BACKUP])[0].startswith("peer NEW: added"), "nothing has moved"
