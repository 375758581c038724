"""A mail server and a receiver of web requests on this machine, each as obliging or as awkward as a test wants."""

from __future__ import annotations

import base64
import http.server
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

#: Between two bytes of a server that is slow: far less than any timeout on a single answer.
DRIP_SECONDS = 0.02


class MailServer:
    """Speaks as much SMTP (RFC 5321) as `smtplib` needs.

    Parameters
    ----------
    tls
        Offers STARTTLS with this context, or begins with it where `implicit`.
    password
        What has to follow user and NUL in AUTH PLAIN; None: no AUTH is offered.
    answers
        Command → what is answered in place of the usual.
    drips
        Whether the greeting never ends.
    """

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, implicit: bool = False, password: str | None = None,
        answers: dict[str, str] | None = None, drips: bool = False,
    ) -> None:  # fmt: skip
        self.mails: list[EmailMessage] = []
        self.commands: list[str] = []
        self.secured = False
        self._tls, self._implicit, self._password = tls, implicit, password
        self._answers, self._drips = answers or {}, drips
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                with suppress(OSError):
                    self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        with ExitStack() as open_now:
            open_now.enter_context(connection)
            if self._drips:
                while not self._over.wait(DRIP_SECONDS):
                    connection.sendall(b"2")
                return
            if self._implicit:
                connection = self._secure(connection, open_now)
            self._converse(connection, open_now)

    def _secure(self, connection: socket.socket, open_now: ExitStack) -> ssl.SSLSocket:
        assert self._tls is not None
        secured = open_now.enter_context(self._tls.wrap_socket(connection, server_side=True))
        self.secured = True
        return secured

    def _converse(self, connection: socket.socket, open_now: ExitStack) -> None:
        stream = open_now.enter_context(connection.makefile("rb"))
        connection.sendall(b"220 mail.test\r\n")
        while line := stream.readline():
            command = line.decode().strip()
            self.commands.append(command)
            verb = command.split(" ")[0].upper()
            if verb in self._answers:
                connection.sendall(f"{self._answers[verb]}\r\n".encode())
            elif verb == "EHLO":
                offers = ["STARTTLS"] if self._tls is not None and not self.secured else []
                offers += ["AUTH PLAIN"] if self._password is not None else []
                lines = ["mail.test", *offers]
                text = "".join(f"250{'-' if n < len(lines) - 1 else ' '}{one}\r\n" for n, one in enumerate(lines))
                connection.sendall(text.encode())
            elif verb == "STARTTLS":
                connection.sendall(b"220 go\r\n")
                stream.close()
                connection = self._secure(connection, open_now)
                stream = open_now.enter_context(connection.makefile("rb"))
            elif verb == "AUTH":
                given = base64.b64decode(command.split(" ")[2]).decode().split("\0")[-1]
                connection.sendall(b"235 ok\r\n" if given == self._password else b"535 wrong\r\n")
            elif verb == "DATA":
                connection.sendall(b"354 go\r\n")
                lines_of_mail = []
                while (part := stream.readline()) not in (b".\r\n", b""):
                    lines_of_mail.append(part)
                mail = message_from_bytes(b"".join(lines_of_mail), policy=policy.default)
                assert isinstance(mail, EmailMessage)
                self.mails.append(mail)
                connection.sendall(b"250 taken\r\n")
            elif verb == "QUIT":
                connection.sendall(b"221 bye\r\n")
                return
            else:
                connection.sendall(b"250 ok\r\n")


class WebServer:
    """Keeps every request and answers with `status`, or drips, or says nothing."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, status: int = 204, manner: str = "") -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.status = status
        self.heard = threading.Event()
        over = self._over = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.requests.append((self.command, self.path, dict(self.headers), body))
                outer.heard.set()
                if manner == "drips":
                    with suppress(OSError):
                        self.wfile.write(b"HTTP/1.1 200 ")
                        while not over.wait(DRIP_SECONDS):
                            self.wfile.write(b"O")
                elif manner == "gibberish":
                    self.wfile.write(b"I speak no HTTP\r\n\r\n")
                elif manner == "redirects":
                    self.send_response(302)
                    self.send_header("Location", f"http://127.0.0.1:{outer.port}/elsewhere")
                    self.end_headers()
                else:
                    self.send_response(outer.status)
                    self.end_headers()

            do_GET = do_POST = _answer  # noqa: N815 - the names of the standard library

            def log_message(self, *_: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that does not believe a certificate is no fault of the test."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        self.scheme = "https" if tls else "http"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://{'localhost' if self.scheme == 'https' else '127.0.0.1'}:{self.port}/hook?site=1"

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def mail_server(**manner: Any) -> Iterator[MailServer]:
    server = MailServer(**manner)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def web_server(**manner: Any) -> Iterator[WebServer]:
    server = WebServer(**manner)
    try:
        yield server
    finally:
        server.close()
