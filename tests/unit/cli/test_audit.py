"""The verbs on the audit trail as somebody types them, and what `check` says of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from dicomnode import cli
from dicomnode.audit.event import Source
from dicomnode.audit.file import Trail
from dicomnode.audit.message import Studied, application, other_node, this_process, transferred
from dicomnode.config import parse
from dicomnode.config.audit import collector_tls, folder_of
from dicomnode.domain.errors import ConfigError
from dicomnode.flow.preflight.audit import audit_trail
from dicomnode.flow.verdict import Verdict
from tests.conftest import Hands
from tests.unit.audit.collector import CollectorStandIn

HERE = this_process(["DICOMNODE"])


@pytest.fixture
def configuration(tmp_path: Path, clock: Hands) -> Path:
    path = tmp_path / "dicomnode.toml"
    path.write_text('[store]\nfolder = "store"\n')
    study = Studied(study_instance_uid="1.2.3", patient_id="P1", sop_classes={"1.2": 3})
    trail = Trail(tmp_path / "store" / "audit", Source(id="N"), clock, sync=False)
    trail.record(application(HERE, started=True))
    trail.record(transferred(other_node("CT1", "10.0.0.21"), HERE, study, created=True))
    trail.record(application(HERE, started=False))
    return path


def typed(monkeypatch: pytest.MonkeyPatch, configuration: Path, words: Sequence[str]) -> int:
    """Exit status of the command."""
    monkeypatch.setattr("sys.argv", ["dicomnode", "audit", *words, "--config", str(configuration)])
    monkeypatch.setenv("NO_COLOR", "1")
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


def test_verify_says_that_the_trail_is_whole_and_where_it_is_not(
    configuration: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, configuration, ["verify"]) == 0
    assert "lines 1 to 3 in 1 files" in capsys.readouterr().out
    path = configuration.parent / "store" / "audit" / "audit-000001.log"
    path.write_bytes(path.read_bytes().replace(b"P1", b"P2"))
    assert typed(monkeypatch, configuration, ["verify", "--json"]) == 1
    (fault,) = json.loads(capsys.readouterr().out)["faults"]
    assert fault.startswith("audit-000001.log, line 2")


def test_show_prints_the_trail_and_is_in_it_afterwards(
    configuration: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, configuration, ["show", "--study", "1.2.3"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "DICOM Instances Transferred success CT1@10.0.0.21 → dicomnode 1.2.3 P1" in line
    assert typed(monkeypatch, configuration, ["show", "--last", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["event"] for one in found] == ["Audit Log Used", "Audit Log Used"]


def test_where_there_is_no_trail_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "dicomnode.toml"
    path.write_text('[store]\nfolder = "empty"\n')
    assert typed(monkeypatch, path, ["verify"]) == 1
    assert "no audit trail is there" in capsys.readouterr().err


def test_check_says_whether_it_can_be_written_and_who_may_read_it(configuration: Path) -> None:
    folder = configuration.parent / "store" / "audit"
    settings = parse({"store": {"folder": str(folder.parent)}})
    assert [one.verdict for one in audit_trail(settings)] == [Verdict.OK]
    folder.chmod(0o755)
    (found,) = audit_trail(settings)
    assert found.verdict is Verdict.WARN and "chmod 0700" in found.remedy
    off = parse({"audit": {"enabled": False}})
    assert [one.verdict for one in audit_trail(off)] == [Verdict.WARN]


def test_check_asks_the_collector(tmp_path: Path) -> None:
    collector = CollectorStandIn(tmp_path / "ca").start()
    table = {"syslog_host": "localhost", "syslog_port": collector.port, "syslog_ca": str(collector.ca)}
    settings = parse({"store": {"folder": str(tmp_path)}, "audit": table})
    assert [one.verdict for one in audit_trail(settings)] == [Verdict.OK] * 3, "folder, certificate, collector"
    collector.stop()
    found = list(audit_trail(settings))[-1]
    assert found.verdict is Verdict.FAIL and "refused" in found.found


def test_a_collector_needs_an_authority_and_a_key_its_certificate() -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"audit": {"syslog_host": "arr", "syslog_certificate": "node.pem"}})
    assert {fault.key for fault in caught.value.faults} == {"audit.syslog_ca", "audit.syslog_certificate"}
    with pytest.raises(ConfigError, match="nothing to send"):
        parse({"audit": {"syslog_host": "arr", "syslog_ca": "ca.pem", "enabled": False}})


def test_what_is_shown_to_the_collector_is_what_audit_names_or_else_what_tls_does() -> None:
    tls = {"ca": "ca.pem", "certificate": "node.pem", "key": "node.key"}
    ours = collector_tls(parse({"tls": tls, "audit": {"syslog_host": "arr"}}))
    assert (ours.ca, ours.certificate, ours.key) == (Path("ca.pem"), Path("node.pem"), Path("node.key"))
    own = {"syslog_host": "arr", "syslog_ca": "arr.pem", "syslog_certificate": "log.pem", "syslog_key": "log.key"}
    theirs = collector_tls(parse({"tls": tls, "audit": own}))
    assert (theirs.ca, theirs.certificate, theirs.key) == (Path("arr.pem"), Path("log.pem"), Path("log.key"))
    assert folder_of(parse({"store": {"folder": "/s"}})) == Path("/s/audit")
    assert folder_of(parse({"audit": {"folder": "/a"}})) == Path("/a")
