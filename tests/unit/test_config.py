"""The configuration file, and how its mistakes are told."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dicomnode.config import Settings, load, parse
from dicomnode.domain.errors import ConfigError
from dicomnode.domain.rule import Use
from dicomnode.flow.first import write_configuration

ROOT = Path(__file__).resolve().parents[2]


def faults(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        parse(document)
    return {fault.key: fault.remedy for fault in caught.value.faults}


def test_the_reference_loads_to_exactly_the_defaults() -> None:
    assert load(ROOT / "config" / "dicomnode.toml") == Settings()


def test_the_reference_names_every_key_there_is() -> None:
    text = (ROOT / "config" / "dicomnode.toml").read_text()
    for name, field in Settings.model_fields.items():
        keys = getattr(field.annotation, "model_fields", {})
        missing = [key for key in keys if f"\n{key} = " not in text]
        assert not missing, f"[{name}] lacks {missing}"


def test_the_examples_in_the_reference_are_a_working_configuration() -> None:
    lines = (ROOT / "config" / "dicomnode.toml").read_text().splitlines()
    start = lines.index("# [[peer]]")
    commented = [line.removeprefix("# ") for line in lines[start:] if line.startswith("# ")]
    example = [line for line in commented if re.match(r"\w+ *= |\[.*\]$", line)]
    settings = parse(tomllib.loads("\n".join(example)))
    assert settings.peers[0].name == "PACS" and settings.rules[0].model == "lung-ct"
    assert len(settings.rules[0].series) == 4 and set(settings.rules[1].inputs) == {"ct", "pet"}


def test_every_fault_is_reported_at_once_with_key_and_remedy() -> None:
    found = faults(
        {
            "nodes": {},
            "node": {"prot": 1, "aet": "MUCH TOO LONG A TITLE"},
            "peer": [{"name": "P", "aet": "A", "host": "h"}],
            "rule": [{"name": "r", "model": "m", "outputs": ["segg"], "series": {"Modaltiy": "CT"}}],
        }
    )
    assert "did you mean node" in found["nodes"]
    assert "did you mean port" in found["node.prot"]
    assert "16 characters" in found["node.aet"]
    assert "required" in found["peer[0].port"]
    assert "did you mean seg" in found["rule[0].outputs"]
    assert "did you mean Modality" in found["rule[0].series.Modaltiy"]


PEER = {"name": "CT1", "aet": "CT1", "host": "10.0.0.1", "port": 104, "accept_research": True}
RULE = {"name": "r", "model": "m", "series": {"Modality": "CT"}}


def test_a_destination_that_is_no_peer_is_a_fault() -> None:
    assert (
        "did you mean CT1"
        in faults({"peer": [PEER], "rule": [{**RULE, "destinations": ["CT"]}]})["rule r.destinations"]
    )


def test_nothing_is_sent_to_a_modality_unless_its_entry_allows_it() -> None:
    modality = {**PEER, "role": "modality"}
    rule = {**RULE, "destinations": ["CT1"]}
    assert "accept_results" in faults({"peer": [modality], "rule": [rule]})["rule r.destinations"]
    assert parse({"peer": [{**modality, "accept_results": True}], "rule": [rule]}).peers[0].may_receive


def test_research_goes_only_to_peers_that_accept_it_and_a_rule_is_for_research_until_it_says_otherwise() -> None:
    peer = {**PEER, "accept_research": False}
    rule = {**RULE, "destinations": ["CT1"]}
    remedy = faults({"peer": [peer], "rule": [rule]})["rule r.destinations"]
    assert "accept_research = true" in remedy and 'use = "clinical"' in remedy
    assert parse({"peer": [peer], "rule": [{**rule, "use": "clinical"}]}).rules[0].use is Use.CLINICAL
    assert parse({"peer": [peer], "rule": [RULE]}).rules[0].use is Use.RESEARCH, "who sends is known at run time"
    assert "clinical" in faults({"rule": [{**RULE, "use": "clinic"}]})["rule[0].use"]


def test_the_first_configuration_sends_research_to_its_pacs(tmp_path: Path) -> None:
    path = tmp_path / "dicomnode.toml"
    write_configuration(path, aet="N", port=11112, pacs=("PACS", "127.0.0.1", 104), store=tmp_path)
    assert load(path).peers[0].accept_research


@pytest.mark.parametrize(
    ("peer", "rule", "key"),
    [
        ({"name": "sender"}, {}, "peer.name"),
        ({}, {"destinations": []}, "rule[0].destinations"),
        ({}, {"outputs": []}, "rule[0].outputs"),
        ({"outputs": []}, {}, "peer[0].outputs"),
        ({"outputs": ["segg"]}, {}, "peer[0].outputs"),
        ({"outputs": ["rtstruct"]}, {"outputs": ["seg", "sr"], "destinations": ["CT1"]}, "rule r.outputs"),
        ({"role": "modality", "results_to": "CT1"}, {}, "peer CT1.results_to"),
    ],
)
def test_a_configuration_that_leads_nowhere_is_a_fault(peer: dict[str, Any], rule: dict[str, Any], key: str) -> None:
    assert key in faults({"peer": [{**PEER, **peer}], "rule": [{**RULE, **rule}]})


def test_a_peer_takes_what_it_accepts_or_what_its_entry_lists() -> None:
    peers = [PEER, {**PEER, "name": "A", "outputs": "auto"}, {**PEER, "name": "B", "outputs": ["labelmap", "sr"]}]
    assert [peer.outputs for peer in parse({"peer": peers}).peers] == [(), (), ("labelmap", "sr")]


def test_a_rule_that_makes_a_seg_fits_a_peer_that_takes_a_labelmap() -> None:
    rule = {**RULE, "outputs": ["seg"], "destinations": ["CT1"]}
    assert parse({"peer": [{**PEER, "outputs": ["labelmap"]}], "rule": [rule]}).rules


def test_names_stand_once() -> None:
    assert set(faults({"peer": [PEER, PEER], "rule": [RULE, RULE]})) == {"peer.name", "rule.name"}


def test_a_rule_without_conditions_would_run_on_everything_and_is_a_fault() -> None:
    assert "condition" in faults({"rule": [{"name": "r", "model": "m"}]})["rule[0]"]


def test_conditions_on_one_input_are_enough_and_checked_like_the_others() -> None:
    rule = {"name": "r", "model": "m", "inputs": {"ct": {"Modality": "CT"}, "pet": {"Modality": "PT"}}}
    (read,) = parse({"rule": [rule]}).rules
    assert {name: one.operand for name, (one,) in read.inputs.items()} == {"ct": "CT", "pet": "PT"}
    broken = {**rule, "inputs": {"pet": {"Modaltiy": "PT"}}}
    assert "did you mean Modality" in faults({"rule": [broken]})["rule[0].inputs.pet.Modaltiy"]
    assert "condition" in faults({"rule": [{**rule, "inputs": {"ct": {}}}]})["rule[0]"]
    assert "rule[0].inputs.pet" in faults({"rule": [{**rule, "inputs": {"pet": "PT"}}]})


def test_a_device_that_no_runtime_knows_is_a_fault() -> None:
    assert "work.device" in faults({"work": {"device": "gpu"}})
    assert parse({"work": {"device": "cuda"}}).work.device == "cuda"


def test_a_file_that_is_not_toml_says_where(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[node\n")
    with pytest.raises(ConfigError, match="line 1"):
        load(path)


def test_the_first_configuration_loads_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "dicomnode.toml"
    write_configuration(path, aet="AI", port=11113, pacs=("ARCHIVE", "10.1.2.3", 104), store=Path("/data"))
    settings = load(path)
    assert (settings.node.aet, settings.node.port, settings.store.folder) == ("AI", 11113, Path("/data"))
    assert settings.peers[0].host == "10.1.2.3" and settings.rules[0].destinations == ("sender",)
    with pytest.raises(ConfigError, match="not replaced"):
        write_configuration(path, aet="AI", port=1, pacs=("A", "h", 1), store=Path("/data"))


def test_an_unusable_answer_leaves_no_file_behind(tmp_path: Path) -> None:
    path = tmp_path / "dicomnode.toml"
    with pytest.raises(ConfigError):
        write_configuration(path, aet="A TITLE THAT IS TOO LONG", port=1, pacs=("A", "h", 1), store=Path("/data"))
    assert not path.exists()


@pytest.mark.parametrize(
    ("peer", "address", "admitted"),
    [
        ({}, "10.0.0.1", True),
        ({}, "10.0.0.2", False),
        ({}, "::ffff:10.0.0.1", True),
        ({"addresses": ["192.168.1.0/24"]}, "192.168.1.77", True),
        ({"addresses": ["192.168.1.0/24"]}, "10.0.0.1", False),
        ({"host": "localhost"}, "127.0.0.1", True),
        ({"host": "pacs.hospital"}, "10.9.9.9", True),
    ],
)
def test_a_caller_is_known_by_its_address_too(peer: dict[str, Any], address: str, admitted: bool) -> None:
    assert parse({"peer": [{**PEER, **peer}]}).peers[0].calls_from(address) is admitted


SECURE = {"certificate": "c", "key": "k", "ca": "a"}


@pytest.mark.parametrize(
    ("document", "keys"),
    [
        ({"tls": {"port": 11112, **SECURE}}, ["tls.port"]),
        ({"stow": {"port": 11112, "tls": False, "host": "127.0.0.1"}}, ["stow.port"]),
        ({"web": {"port": 11112}}, ["web.port"]),
        ({"node": {"host": "127.0.0.1"}, "web": {"port": 11112, "host": "localhost"}}, ["web.port"]),
        ({"web": {"port": 11180}, "stow": {"port": 11180, "tls": False}}, ["web.port"]),
        (
            {"tls": {"port": 11112, **SECURE}, "stow": {"port": 11112}, "web": {"port": 11112}},
            ["tls.port", "stow.port", "web.port"],
        ),
    ],
)
def test_two_listeners_on_one_port_are_faults_of_the_configuration(document: dict[str, Any], keys: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(document)
    assert [fault.key for fault in caught.value.faults] == keys


@pytest.mark.parametrize(
    "document",
    [
        {"node": {"host": "10.0.0.9"}, "web": {"port": 11112}},
        {"node": {"port": 0}, "tls": {"port": 0}},
        {"tls": {"port": 11112, "only": True, **SECURE}},
    ],
)
def test_listeners_that_do_not_meet_may_have_the_same_number(document: dict[str, Any]) -> None:
    parse(document)


def test_a_peer_that_is_the_node_itself_is_a_fault() -> None:
    peer = {"name": "PACS", "aet": "DICOMNODE", "host": "127.0.0.1", "port": 11112}
    with pytest.raises(ConfigError) as caught:
        parse({"peer": [peer]})
    assert [fault.key for fault in caught.value.faults] == ["peer PACS.port"]
    for other in ({"aet": "PACS"}, {"port": 104}, {"host": "10.0.0.5"}):
        parse({"peer": [{**peer, **other}]})
