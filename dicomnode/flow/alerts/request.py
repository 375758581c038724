"""Makes one web request: to a receiver of messages, or to the watch that waits for a heartbeat."""

from __future__ import annotations

import http.client
from collections.abc import Mapping

from dicomnode.config.alerts import NotifyTable, split
from dicomnode.deliver.limited import limited
from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.domain.notice import Message
from dicomnode.flow.alerts import text
from dicomnode.flow.alerts.mail import context, secret


class NotTaken(OSError):
    """The receiver answered, and not with a status of success (RFC 9110 15.3); `status` is 0 where it had none."""

    def __init__(self, words: str, status: int = 0) -> None:
        super().__init__(words)
        self.status = status


def send(message: Message, table: NotifyTable, node: str) -> str:
    """Hand a message to a receiver of web requests; "".

    Raises
    ------
    OSError
        It was not taken: no connection, no TLS, no answer in time, any status but 2xx.
    ConfigError
        The file of the secret header cannot be used.
    """
    body = text.filled(table.template, table.content_type, text.fields(message, node))
    headers = {
        "Content-Type": table.content_type,
        # What tells a receiver that it has the message already.
        "Idempotency-Key": message.message_id,
        **secret_header(table),
    }
    request("POST", table.url, body, headers, table.ca, table.timeout_seconds)
    return ""


def request(
    method: str, url: str, body: bytes | None, headers: Mapping[str, str], ca: str, timeout_seconds: float
) -> None:
    """Make a request and look at nothing but the status of its answer.

    Redirections are not followed, which would carry the secret elsewhere, and no proxy is asked.

    Raises
    ------
    OSError
        As `send`.
    """
    parts = split(url)
    assert parts is not None and parts.hostname
    if parts.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout_seconds, context=context(ca)
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_seconds)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with limited(timeout_seconds, lambda: connection.sock):
            connection.request(method, target, body, {"User-Agent": "dicomnode", **headers})
            status = connection.getresponse().status
    except http.client.HTTPException as error:
        raise NotTaken(f"no answer of HTTP: {type(error).__name__}") from error
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise NotTaken(f"answered {status} {http.client.responses.get(status, '')}".strip(), status)


def secret_header(table: NotifyTable) -> dict[str, str]:
    """The header in the file that the table names; none where it names none. Raises `ConfigError`, or `OSError`."""
    if not table.header_file:
        return {}
    key = f"notify {table.name}.header_file"
    name, colon, value = secret(table.header_file, key).partition(":")
    if not colon or not name.replace("-", "").isalnum() or not value.strip().isprintable() or not value.isascii():
        remedy = 'one line such as "Authorization: Bearer …" is needed'
        raise ConfigError([Fault(key=key, value=table.header_file, remedy=remedy)])
    return {name: value.strip()}
