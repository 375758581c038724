"""What the configuration says about TLS and cannot be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dicomnode.config import load, parse
from dicomnode.domain.errors import ConfigError
from dicomnode.domain.network import TlsProfile

PEER = {"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": 104}
FILES = {"certificate": "node.pem", "key": "node.key", "ca": "ca.pem"}


@pytest.mark.parametrize(
    ("table", "peer", "key"),
    [
        ({"port": 2762, "ca": "ca.pem"}, {}, "tls.certificate"),
        ({"certificate": "node.pem"}, {}, "tls.certificate"),
        ({"port": 2762, "certificate": "node.pem", "key": "node.key"}, {}, "tls.ca"),
        ({"only": True}, {}, "tls.only"),
        ({"profile": "bcp"}, {}, "tls.profile"),
        ({}, {"tls": True}, "peer PACS.tls"),
        (FILES, {"certificate_subject": "CN=pacs"}, "peer PACS.certificate_subject"),
        (FILES, {"tls": True, "certificate_subject": "pacs"}, "peer[0].certificate_subject"),
        ({**FILES, "port": 2762}, {"user": "scanner"}, "peer PACS.user"),
    ],
)
def test_a_gap_is_told_with_its_key(table: dict[str, Any], peer: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"tls": table, "peer": [{**PEER, **peer}]})
    assert [fault.key for fault in caught.value.faults] == [key]


def write(folder: Path) -> Path:
    path = folder / "dicomnode.toml"
    path.write_text(
        '[tls]\nport = 2762\ncertificate = "node.pem"\nkey = "node.key"\nca = "/etc/ssl/hospital.pem"\n'
        'profile = "modified"\n[[peer]]\nname = "PACS"\naet = "PACS"\nhost = "127.0.0.1"\nport = 104\ntls = true\n'
        '[[peer]]\nname = "CT"\naet = "CT"\nhost = "127.0.0.1"\nport = 104\n'
    )
    return path


def test_files_are_beside_the_configuration_and_known_to_the_peers_that_are_called(tmp_path: Path) -> None:
    settings = load(write(tmp_path))
    pacs, ct = settings.peers
    assert ct.tls is None
    assert pacs.tls is not None
    assert pacs.tls.certificate == tmp_path / "node.pem"
    assert pacs.tls.ca == Path("/etc/ssl/hospital.pem")
    assert pacs.tls.profile is TlsProfile.MODIFIED


def test_a_credential_of_systemd_goes_before_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "node.key").touch()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    settings = load(write(tmp_path))
    assert settings.tls.key == str(credentials / "node.key")
    assert settings.tls.certificate == str(tmp_path / "node.pem")
