"""A web request carries a filled template and a secret header, and counts only where a 2xx answers it."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from dicomnode.config.alerts import FIELDS, NotifyTable
from dicomnode.domain.errors import ConfigError
from dicomnode.domain.notice import Message, Topic
from dicomnode.flow.alerts import request
from tests.certificates import Authority
from tests.unit.flow.alerts.receivers import web_server


def table(url: str, **more: Any) -> NotifyTable:
    return NotifyTable(name="pager", on=(Topic.URGENT,), url=url, **{"timeout_seconds": 10, **more})


def test_without_a_template_all_fields_come_as_json_with_an_id_to_drop_what_comes_twice(message: Message) -> None:
    with web_server() as server:
        request.send(message, table(server.url), "DICOMNODE")
    ((method, path, headers, body),) = server.requests
    assert (method, path) == ("POST", "/hook?site=1")
    assert headers["Idempotency-Key"] == "abc123" and headers["Content-Type"] == "application/json"
    found = json.loads(body)
    assert tuple(found) == FIELDS and found["id"] == "abc123" and found["studies"] == "1.2.3"
    assert found["notices"] == [
        {
            "topic": "urgent", "at": "2026-11-21T08:00:00Z", "text": 'model toy found: "Dense" 100 %',
            "study_instance_uid": "1.2.3", "rule": "r",
        }
    ]  # fmt: skip


def test_a_template_is_filled_and_what_is_put_into_json_is_escaped(message: Message) -> None:
    with web_server() as server:
        template = '{"text": "$text", "price": "5 $$", "all": ${notices}}'
        request.send(message, table(server.url, template=template), "N")
        request.send(message, table(server.url, template="$subject!", content_type="text/plain"), "N")
    found = json.loads(server.requests[0][3])
    assert 'model toy found: "Dense" 100 %;' in found["text"] and found["price"] == "5 $" and len(found["all"]) == 1
    assert server.requests[1][3] == b"N: 1 urgent, 30 failed!"


def test_https_needs_a_certificate_that_is_believed_and_bears_the_secret(
    message: Message, tls: ssl.SSLContext, authority: Authority, secret: Path
) -> None:
    secret.write_text("Authorization: Bearer xyz\n")
    more = {"header_file": str(secret)}
    with web_server(tls=tls) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            request.send(message, table(server.url, **more), "N")
        assert server.requests == []
        request.send(message, table(server.url, ca=str(authority.certificate), **more), "N")
    assert server.requests[0][2]["Authorization"] == "Bearer xyz"


@pytest.mark.parametrize("content", ["no colon", "A B: c", "X: line\x0bbreak", ""])
def test_a_file_that_holds_no_header_is_not_sent(content: str, message: Message, secret: Path) -> None:
    secret.write_text(content)
    with web_server() as server, pytest.raises(ConfigError, match="header_file"):
        request.send(message, table(server.url, header_file=str(secret)), "N")
    assert server.requests == []


@pytest.mark.parametrize("status", [301, 400, 401, 429, 500, 503])
def test_any_other_status_is_a_refusal(status: int, message: Message) -> None:
    with web_server(status=status) as server, pytest.raises(OSError, match=f"answered {status}"):
        request.send(message, table(server.url), "N")


def test_a_redirection_is_not_followed(message: Message, secret: Path) -> None:
    secret.write_text("Authorization: Bearer xyz")
    with web_server(manner="redirects") as server, pytest.raises(OSError, match="answered 302"):
        request.send(message, table(server.url, header_file=str(secret)), "N")
    assert len(server.requests) == 1


@pytest.mark.parametrize(("manner", "words"), [("drips", r"more than 0\.3 s"), ("gibberish", "no answer of HTTP")])
def test_a_receiver_that_drips_or_speaks_something_else_is_an_error_in_time(
    manner: str, words: str, message: Message
) -> None:
    with web_server(manner=manner) as server, pytest.raises(OSError, match=words):
        request.send(message, table(server.url, timeout_seconds=0.3), "N")


def test_a_receiver_that_is_away_or_silent_is_an_error_in_time(message: Message) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(OSError):
            request.send(message, table(f"http://127.0.0.1:{port}/", timeout_seconds=0.2), "N")
    with pytest.raises(ConnectionRefusedError):
        request.send(message, table(f"http://127.0.0.1:{port}/"), "N")
