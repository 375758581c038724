"""What a configuration names outside itself is judged before it is taken, and `dicomnode check` finds the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dicomnode import config
from dicomnode.config import Settings
from dicomnode.flow.preflight.checks import check
from dicomnode.flow.reload.judge import unusable
from dicomnode.flow.verdict import Verdict
from tests.certificates import Authority
from tests.toy import write_bundle

BASE = '[node]\naet = "A"\nhost = "127.0.0.1"\nport = 11199\n[store]\nfolder = "st"\n[models]\nfolder = "models"\n'
PEER = '[[peer]]\nname = "W"\naet = "W"\nhost = "127.0.0.1"\nport = 104\n'
NOTIFY = '[[notify]]\nname = "n"\non = ["failed"]\n'
MAIL = f'{NOTIFY}host = "mail"\nport = 25\nsender = "a@b.c"\nto = ["a@b.c"]\n'
TLS = '[tls]\ncertificate = "none.pem"\nkey = "none.key"\nca = "none.ca"\n'

#: Tables that name a file which is not there, and the key that tells so.
MISSING = {
    "the port for TLS": (f"{TLS}port = 11198\n", "tls.ca"),
    "the port for STOW-RS": (f"{TLS}[stow]\nport = 11198\ntls = true\n", "tls.ca"),
    "users": (f'{TLS}port = 11198\nusers = "none"\n', "tls.users"),
    "a peer called over TLS": (f"{TLS}{PEER}tls = true\n", "tls.ca"),
    "the dashboard": ('[web]\nport = 11197\ncertificate = "none.pem"\nkey = "none.key"\n', "web.key"),
    "a secret for a web service": (
        f'{PEER}stow = "http://127.0.0.1/dicom-web"\nstow_authorization = "none"\n', "peer W.stow_authorization",
    ),
    "the collector": ('[audit]\nsyslog_host = "h"\nsyslog_ca = "none"\n', "tls.ca"),
    "pseudonyms": (f'[deidentify]\nsecret_file = "none"\n{PEER}deidentify = []\n', "deidentify.secret_file"),
    "a password": (f'{MAIL}user = "u"\npassword_file = "none"\n', "notify n.password_file"),
    "an authority of a mail server": (f'{MAIL}ca = "none"\n', "notify n.ca"),
    "a secret header": (f'{NOTIFY}url = "https://h/x"\nheader_file = "none"\n', "notify n.header_file"),
    "the authority of a watch": ('[heartbeat]\nurl = "https://x/y"\nca = "none"\n', "heartbeat.ca"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "st").mkdir(mode=0o700)
    (tmp_path / "models").mkdir()
    write_bundle(tmp_path / "models")
    return tmp_path


def settings(folder: Path, tables: str) -> Settings:
    return config.load_text(BASE + tables, folder / "dicomnode.toml")


@pytest.mark.parametrize("what", MISSING)
def test_a_file_that_is_not_there_is_found_before_it_is_needed(folder: Path, what: str) -> None:
    tables, key = MISSING[what]
    found = settings(folder, tables)
    faults = unusable(found)
    assert key in {fault.key for fault in faults}
    told = [one.found for one in check(found, quick=True) if one.verdict is Verdict.FAIL]
    assert any(text.startswith(f"{key} = ") for text in told), "the check finds what the judge finds"


def test_files_that_can_be_used_have_no_faults(folder: Path) -> None:
    authority = Authority(folder)
    own = authority.issue("node")
    names = f'certificate = "{own.certificate}"\nkey = "{own.key}"\n'
    tables = (
        f'[tls]\n{names}ca = "{authority.certificate}"\n[stow]\nport = 11198\ntls = true\n[web]\nport = 11197\n{names}'
    )
    (folder / "secret").write_text("Bearer x")
    (folder / "secret").chmod(0o600)
    peer = f'{PEER}stow = "http://127.0.0.1/dicom-web"\nstow_authorization = "secret"\n'
    assert unusable(settings(folder, tables + peer)) == []


@pytest.mark.parametrize(
    ("rule", "key"),
    [({"model": "other"}, "rule r.model"), ({"shadow_model": "other"}, "rule r.shadow_model"),
     ({"inputs": '{ pet = { Modality = "PT" } }'}, "rule r.inputs")],
)  # fmt: skip
def test_a_rule_whose_models_are_not_there_or_do_not_suit_is_told(folder: Path, rule: dict[str, Any], key: str) -> None:
    entry = {"name": '"r"', "model": '"toy"', **{one: f'"{value}"' if one != "inputs" else value
                                                 for one, value in rule.items()}}  # fmt: skip
    lines = "".join(f"{name} = {value}\n" for name, value in entry.items())
    series = "" if "inputs" in rule else '[rule.series]\nModality = "CT"\n'
    assert [fault.key for fault in unusable(settings(folder, f"[[rule]]\n{lines}{series}"))] == [key]


def test_a_network_with_another_hash_is_told(folder: Path) -> None:
    (network,) = (folder / "models").rglob("*.onnx")
    network.write_bytes(network.read_bytes() + b"\0")
    tables = '[[rule]]\nname = "r"\nmodel = "toy"\n[rule.series]\nModality = "CT"\n'
    (fault,) = unusable(settings(folder, tables))
    assert fault.key == "rule r.model" and "SHA-256" in fault.remedy
