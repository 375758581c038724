"""E-mail arrives over TLS, with what tells one that came twice; whatever the server does, it is told as a reason."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from dicomnode.config.alerts import NotifyTable
from dicomnode.domain.errors import ConfigError
from dicomnode.domain.notice import Message, Topic
from dicomnode.flow.alerts import mail
from tests.certificates import Authority
from tests.unit.flow.alerts.receivers import mail_server


def table(port: int, **more: Any) -> NotifyTable:
    keys = {"security": "none", "timeout_seconds": 10, **more}
    return NotifyTable(
        name="desk", on=(Topic.URGENT,), host="localhost", port=port, sender="node@hospital.example",
        to=("desk@hospital.example", "it@hospital.example"), **keys,
    )  # fmt: skip


def test_a_mail_says_what_happened_and_carries_an_id_by_which_one_that_comes_twice_is_known(message: Message) -> None:
    with mail_server() as server:
        assert mail.send(message, table(server.port), "DICOMNODE") == ""
        assert mail.send(message, table(server.port), "DICOMNODE") == ""
    first, second = server.mails
    assert first["Message-ID"] == second["Message-ID"] == "<abc123@hospital.example>"
    assert first["Subject"] == "DICOMNODE: 1 urgent, 30 failed"
    assert first["Auto-Submitted"] == "auto-generated" and first["To"] == "desk@hospital.example, it@hospital.example"
    text = first.get_content()
    assert '08:00:00 urgent: model toy found: "Dense" 100 %; study 1.2.3, rule r' in text
    assert "and 30 more" in text and "not a medical device" in text.replace("\n", " ")


def test_a_password_goes_over_tls_alone_and_comes_from_its_file(
    message: Message, tls: ssl.SSLContext, authority: Authority, secret: Path
) -> None:
    more = {"user": "node", "password_file": str(secret), "ca": str(authority.certificate)}
    with mail_server(tls=tls, password="correct horse") as server:
        assert mail.send(message, table(server.port, security="starttls", **more), "N") == ""
    assert server.secured and len(server.mails) == 1
    assert [one.split()[0] for one in server.commands].index("STARTTLS") < [
        one.split()[0] for one in server.commands
    ].index("AUTH")
    with mail_server(tls=tls, implicit=True, password="correct horse") as server:
        assert mail.send(message, table(server.port, security="tls", **more), "N") == ""
    assert server.secured and len(server.mails) == 1


def test_a_server_without_starttls_or_with_a_strange_certificate_gets_nothing(
    message: Message, tls: ssl.SSLContext, secret: Path
) -> None:
    with mail_server(password="correct horse") as server, pytest.raises(OSError, match="STARTTLS"):
        mail.send(message, table(server.port, security="starttls", user="node", password_file=str(secret)), "N")
    assert not any(one.startswith(("AUTH", "DATA")) for one in server.commands)
    with mail_server(tls=tls) as server, pytest.raises(ssl.SSLCertVerificationError):
        mail.send(message, table(server.port, security="starttls"), "N")
    assert server.mails == []


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"RCPT": "550 no such user desk@hospital.example"}, "refuses every address (550)"),
        ({"MAIL": "451 greylisted, come back"}, "answers 451 greylisted, come back"),
        ({"DATA": "552 full"}, "answers 552 full"),
        ({"EHLO": "421 closing", "HELO": "421 closing"}, "answers 421 closing"),
    ],
)
def test_a_refusal_is_told_in_words_without_addresses(answers: dict[str, str], words: str, message: Message) -> None:
    with mail_server(answers=answers) as server, pytest.raises(OSError) as caught:
        mail.send(message, table(server.port), "N")
    assert words in mail.in_words(caught.value) and "desk@" not in mail.in_words(caught.value)


def test_a_wrong_password_is_a_refusal(message: Message, secret: Path) -> None:
    with mail_server(password="other") as server, pytest.raises(OSError) as caught:
        mail.send(message, table(server.port, user="node", password_file=str(secret)), "N")
    assert "535" in mail.in_words(caught.value) and server.mails == []


def test_a_password_that_everybody_can_read_is_not_used(message: Message, secret: Path) -> None:
    secret.chmod(0o644)
    with mail_server(password="correct horse") as server, pytest.raises(ConfigError, match="password_file"):
        mail.send(message, table(server.port, user="node", password_file=str(secret)), "N")


@pytest.mark.parametrize("quit_answer", ["421 too many connections", "451 not now", ""])
def test_a_mail_that_was_taken_is_sent_however_the_conversation_ends(message: Message, quit_answer: str) -> None:
    # An answer of "" is a line of nothing: no answer to QUIT within the time.
    with mail_server(answers={"QUIT": quit_answer}) as server:
        assert mail.send(message, table(server.port, timeout_seconds=0.5), "N") == ""
    assert len(server.mails) == 1


def test_a_server_that_drips_bytes_for_ever_is_left_in_time(message: Message) -> None:
    with mail_server(drips=True) as server, pytest.raises(OSError, match=r"more than 0\.2 s"):
        mail.send(message, table(server.port, timeout_seconds=0.2), "N")


def test_a_server_that_is_away_or_never_answers_is_an_error_in_time(message: Message) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(OSError):
            mail.send(message, table(silent.getsockname()[1], timeout_seconds=0.2), "N")
        port = silent.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        mail.send(message, table(port), "N")
