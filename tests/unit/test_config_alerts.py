"""Mistakes in the tables that say who is told of what are reported with key, value and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dicomnode.config import load, parse
from dicomnode.domain.errors import ConfigError
from dicomnode.flow.preflight.alerts import alerts
from dicomnode.flow.verdict import Verdict

MAIL = {"name": "it", "on": ["failed"], "host": "mail.test", "sender": "a@b.test", "to": ["c@d.test"]}
HOOK = {"name": "pager", "on": ["urgent"], "url": "https://alerts.test/x"}


def faults(*notify: dict[str, Any], **document: Any) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        parse({"notify": list(notify), **document})
    return {fault.key: fault.remedy for fault in caught.value.faults}


def test_both_ways_are_read_and_names_no_patient_unless_asked() -> None:
    mail, hook = parse({"notify": [MAIL, HOOK]}).notify
    assert not mail.patient and not hook.patient and mail.security == "starttls" and mail.every_seconds == 60


@pytest.mark.parametrize(
    ("table", "key", "words"),
    [
        ({**HOOK, "host": "mail.test"}, "host", "either host"),
        ({"name": "x", "on": ["urgent"]}, "host", "either host"),
        ({**MAIL, "to": []}, "to", "e-mail addresses"),
        ({**MAIL, "to": ["Weber <a@b.test>"]}, "to", "e-mail addresses"),
        ({**MAIL, "to": ["a@b.test\r\nBcc: e@f.test"]}, "to", "e-mail addresses"),
        ({**MAIL, "sender": "nobody"}, "sender", "e-mail addresses"),
        ({**MAIL, "user": "u"}, "password_file", "belong together"),
        ({**MAIL, "user": "u", "password_file": "p", "security": "none"}, "security", "in the clear"),
        ({**MAIL, "patient": True, "security": "none"}, "patient", "in the clear"),
        ({**HOOK, "url": "http://alerts.test/x"}, "url", "needed https"),
        ({**HOOK, "url": "http://127.0.0.1.evil.test/x"}, "url", "needed https"),
        ({**HOOK, "url": "ftp://127.0.0.1/x"}, "url", "whole address"),
        ({**HOOK, "url": "https://u:p@alerts.test/x"}, "url", "header_file"),
        ({**HOOK, "url": "https://alerts.test:port/x"}, "url", "whole address"),
        ({**HOOK, "url": "https://alerts.test/a b"}, "url", "whole address"),
        ({**HOOK, "template": '{"a": "$txt"}'}, "template", "did you mean text"),
        ({**HOOK, "template": '{"a": $text}'}, "template", "text fields stand in quotes"),
        ({**HOOK, "template": '{"a": "5 $"}'}, "template", "$$"),
        ({**HOOK, "rules": ["chest"]}, "rules", "no such rule"),
    ],
)
def test_what_cannot_work_is_told(table: dict[str, Any], key: str, words: str) -> None:
    assert words in faults(table)[f"notify {table['name']}.{key}"]


def test_every_fault_comes_at_once() -> None:
    found = faults(MAIL, {**MAIL, "on": ["fialed"]}, {**HOOK, "urll": "x"}, heartbeat={"url": "http://elsewhere.test/"})
    assert "did you mean url" in found["notify[2].urll"] and "notify[1].on.0" in found
    assert "needed https" in found["heartbeat.url"]
    assert "each name" in faults(MAIL, MAIL)["notify.name"]
    with pytest.raises(ConfigError, match="two brackets"):
        parse({"notify": MAIL})


def test_requests_to_this_machine_need_no_tls() -> None:
    for host in ("127.0.0.1:8080", "localhost", "[::1]:80"):
        assert parse({"notify": [{**HOOK, "url": f"http://{host}/x"}]}).notify[0].url


def test_files_lie_beside_the_configuration_or_among_the_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "mail-password").write_text("x")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    path = tmp_path / "dicomnode.toml"
    path.write_text(
        '[[notify]]\nname = "it"\non = ["failed"]\nhost = "m.test"\nsender = "a@b.test"\nto = ["c@d.test"]\n'
        'user = "u"\npassword_file = "mail-password"\nca = "tls/ca.pem"\n[heartbeat]\nca = "own.pem"\n'
    )
    settings = load(path)
    assert settings.notify[0].password_file == str(credentials / "mail-password")
    assert settings.notify[0].ca == str(tmp_path / "tls/ca.pem")
    assert settings.heartbeat.ca == str(tmp_path / "own.pem")


def test_check_tells_of_files_that_cannot_be_used(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("Authorization: Bearer x")
    secret.chmod(0o644)
    mail = {**MAIL, "user": "u", "password_file": str(tmp_path / "none")}
    settings = parse({"notify": [{**HOOK, "header_file": str(secret)}, mail, {**HOOK, "name": "ok"}]})
    found = list(alerts(settings))
    assert [one.verdict for one in found] == [Verdict.FAIL, Verdict.FAIL, Verdict.OK]
    assert "header_file" in found[0].found and "https://alerts.test/x of urgent" in found[2].found
    secret.chmod(0o600)
    assert next(alerts(settings)).verdict is Verdict.OK
