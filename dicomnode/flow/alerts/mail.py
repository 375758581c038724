"""Sends a message by e-mail (RFC 5321), over TLS unless the configuration says otherwise."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from dicomnode.config.alerts import NotifyTable
from dicomnode.deliver.limited import limited
from dicomnode.domain.notice import Message
from dicomnode.flow.alerts import text
from dicomnode.tls.credentials import check_secret

#: What a server answers whose words are no reason to be repeated: they may repeat addresses.
_LONGEST_ANSWER = 200


def send(message: Message, table: NotifyTable, node: str) -> str:
    """Hand a message to the mail server; a remark, or "".

    Raises
    ------
    OSError
        It was not taken: no connection, no TLS, no answer in time, a refusal.
    ConfigError
        The file of the password cannot be used.
    """
    client: list[smtplib.SMTP] = []
    taken: list[str] = []
    seconds = table.timeout_seconds
    try:
        with limited(seconds, lambda: client[0].sock if client else None), _connected(table, client) as server:
            if table.security == "starttls":
                server.starttls(context=context(table.ca))
            if table.user:
                server.login(table.user, secret(table.password_file, f"notify {table.name}.password_file"))
            refused = server.send_message(written(message, table, node), table.sender, list(table.to))
            taken.append(f"{len(refused)} of {len(table.to)} addresses were refused" if refused else "")
    except (OSError, ValueError):
        # Once it has answered 250 to the data the server is responsible for the mail (RFC 5321 4.2.5), however the
        # conversation ends: sent again it would come twice.
        if not taken:
            raise
    return taken[0]


def written(message: Message, table: NotifyTable, node: str) -> EmailMessage:
    """The message as a mail; whoever gets it twice knows it by its Message-ID."""
    mail = EmailMessage()
    mail["Subject"] = text.subject(message, node)
    mail["From"], mail["To"] = table.sender, ", ".join(table.to)
    mail["Date"] = format_datetime(message.made_at)
    mail["Message-ID"] = f"<{message.message_id}@{table.sender.rpartition('@')[2]}>"
    # Nobody's holiday shall answer (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text.text(message, node))
    return mail


def context(ca: str) -> ssl.SSLContext:
    """TLS that believes the authorities of a file, or those of the system."""
    return ssl.create_default_context(cafile=ca or None)


def secret(name: str, key: str) -> str:
    """The one line of a file that others must not read. Raises `ConfigError`, or `OSError`."""
    path = Path(name)
    check_secret(path, key)
    return path.read_text(encoding="utf-8").strip()


def in_words(error: OSError) -> str:
    """Why the server did not take it."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = sorted({str(code) for code, _words in error.recipients.values()})
        return f"the mail server refuses every address ({', '.join(codes)})"
    if isinstance(error, smtplib.SMTPResponseException):
        words = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        return f"the mail server answers {error.smtp_code} {' '.join(words.split())[:_LONGEST_ANSWER]}"
    return str(error)


def _connected(table: NotifyTable, client: list[smtplib.SMTP]) -> smtplib.SMTP:
    """A connection, which `client` holds from its first moment: the greeting may be slow, too."""

    class Known(smtplib.SMTP):
        def __init__(self, *args: Any, **more: Any) -> None:
            client.append(self)
            super().__init__(*args, **more)

    class KnownTls(smtplib.SMTP_SSL):
        def __init__(self, *args: Any, **more: Any) -> None:
            client.append(self)
            super().__init__(*args, **more)

    # A part of the time, so that a second address of the same name can be tried.
    seconds = table.timeout_seconds
    if table.security == "tls":
        return KnownTls(table.host, table.port, timeout=seconds, context=context(table.ca))
    return Known(table.host, table.port, timeout=seconds)
