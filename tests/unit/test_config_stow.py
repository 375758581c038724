"""What the configuration says of STOW-RS, and how its mistakes are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dicomnode.config import load, parse
from dicomnode.domain.errors import ConfigError
from dicomnode.domain.network import Stow

PEER = {"name": "PACS", "aet": "PACS", "host": "10.0.0.5", "port": 0, "stow": "https://pacs.example/dicom-web/"}
TLS = {"ca": "ca.pem", "certificate": "node.pem", "key": "node.key"}


def faults(**document: Any) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        parse(document)
    return {fault.key: fault.remedy for fault in caught.value.faults}


def test_a_peer_on_the_web_needs_no_dicom_port(tmp_path: Path) -> None:
    (tmp_path / "dicomnode.toml").write_text(
        '[tls]\nca = "ca.pem"\ncertificate = "node.pem"\nkey = "node.key"\n[stow]\nport = 11180\n'
        '[[peer]]\nname = "PACS"\naet = "PACS"\nhost = "10.0.0.5"\nport = 0\ntoken = "pacs"\n'
        'stow = "https://pacs.example/dicom-web/"\nstow_authorization = "secret"\n'
    )
    (peer,) = load(tmp_path / "dicomnode.toml").peers
    assert peer.stow is not None and peer.stow.tls is not None
    assert (peer.stow.url, peer.stow.authorization) == ("https://pacs.example/dicom-web", tmp_path / "secret")
    assert peer.stow.tls.ca == tmp_path / "ca.pem" and not peer.speaks_dimse and peer.tls is None
    assert peer.title == "PACS (https://pacs.example/dicom-web)" and peer.address == peer.stow.url


def test_without_the_key_nothing_is_on_the_web() -> None:
    (peer,) = parse({"peer": [{**PEER, "port": 104, "stow": ""}]}).peers
    assert peer.stow is None and peer.speaks_dimse and peer.title == "PACS (PACS at 10.0.0.5:104)"


@pytest.mark.parametrize(
    ("peer", "document", "key"),
    [
        ({"stow": ""}, {}, "peer PACS.port"),
        ({}, {"tls": {}}, "peer PACS.stow"),
        ({"stow": "pacs.example"}, {}, "peer[0].stow"),
        ({"stow": "http://user:secret@pacs.example/"}, {}, "peer[0].stow"),
        ({"stow": "http://pacs.example/", "stow_authorization": "f"}, {}, "peer PACS.stow_authorization"),
        ({"commitment": True}, {}, "peer PACS.commitment"),
        ({"verify": True}, {}, "peer PACS.verify"),
        ({"tls": True}, {}, "peer PACS.tls"),
        ({"token": "pacs"}, {}, "peer PACS.token"),
        ({}, {"stow": {"port": 11180}, "tls": {"ca": "ca.pem"}}, "stow.tls"),
        ({}, {"stow": {"prot": 1}}, "stow.prot"),
    ],
)
def test_what_cannot_work_is_a_fault(peer: dict[str, Any], document: dict[str, Any], key: str) -> None:
    assert key in faults(**{"tls": TLS, "peer": [{**PEER, **peer}], **document})


def test_a_token_stands_for_one_peer() -> None:
    other = {**PEER, "name": "OTHER", "token": "t"}
    found = faults(tls=TLS, stow={"port": 11180}, peer=[{**PEER, "token": "t"}, other])
    assert list(found) == ["peer.token"]


def test_priors_are_not_fetched_from_the_web() -> None:
    rule = {"name": "r", "model": "m", "series": {"Modality": "CT"}, "priors": {"from": ["PACS"]}}
    assert "peer PACS.port" in faults(tls=TLS, peer=[PEER], rule=[rule])
    assert "peer PACS.port" in faults(tls=TLS, peer=[PEER], retention={"inputs_confirmed_by": ["PACS"]})
    scanner = {"name": "CT1", "aet": "CT1", "host": "h", "port": 104, "committed_by": ["PACS"]}
    assert "peer PACS.port" in faults(tls=TLS, peer=[PEER, scanner])


def test_a_secret_may_go_in_the_clear_to_this_machine_alone() -> None:
    peer = {**PEER, "stow": "http://127.0.0.1:8042/dicom-web", "stow_authorization": "f"}
    assert parse({"peer": [peer]}).peers[0].stow == Stow(url="http://127.0.0.1:8042/dicom-web", authorization=Path("f"))
