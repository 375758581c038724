"""Connections to the web services of a peer: whom they believe, what they show, and why there is none."""

from __future__ import annotations

import ssl
from typing import Any

import requests

from dicomnode.deliver.association import Timeouts
from dicomnode.deliver.dial import NotThePeer
from dicomnode.deliver.stow_wire import Punctual
from dicomnode.domain.certificate import Certificate
from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.domain.network import Peer, Stow
from dicomnode.tls.connection import SecureSocket, reason_of
from dicomnode.tls.credentials import Credentials, check_secret

#: Of the file with the header field: longer than any token that a web server takes.
_LONGEST_SECRET = 8192


def session(peer: Peer, stow: Stow) -> requests.Session:
    """A connection that believes the authorities of [tls] alone, and takes nothing from the environment.

    Raises
    ------
    ConfigError
        A file of ours cannot be used.
    """
    found = requests.Session()
    # Neither proxies nor passwords (.netrc) that an account happens to have.
    found.trust_env = False
    found.headers["Accept-Encoding"] = "identity"
    found.mount("http://", Punctual())
    if stow.authorization is not None:
        check_secret(stow.authorization, "stow_authorization")
        found.headers["Authorization"] = _line(stow)
    if stow.tls is not None:
        expected = peer.certificate_subject
        context = Credentials(stow.tls, server=False, hostname=not expected).context()
        if expected:
            context.sslsocket_class = _expecting(expected)
        found.mount("https://", _Believing(context))
    return found


def no_connection(error: requests.RequestException, timeouts: Timeouts) -> str:
    """Why there is no answer, in words without the address, which may name a study."""
    if isinstance(error, requests.ConnectTimeout):
        return f"no TCP connection: none within {timeouts.connect_seconds:g} s"
    if isinstance(error, requests.ReadTimeout):
        return f"no answer within {timeouts.dimse_seconds:g} s"
    cause: BaseException | None = error
    seen = 0
    while cause is not None and seen < 10:
        if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException):
            what = "TLS" if isinstance(cause, ssl.SSLError) else "TCP"
            return f"no {what} connection: {reason_of(cause)}"
        inner = getattr(cause, "reason", None) or next((one for one in cause.args if isinstance(one, Exception)), None)
        cause, seen = inner if isinstance(inner, BaseException) else cause.__cause__ or cause.__context__, seen + 1
    return "the peer closed the connection or gave no valid answer"


class _Believing(Punctual):
    """Uses one context as it is, where requests would add the authorities of browsers."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        super().init_poolmanager(
            connections, maxsize, block, ssl_context=self._context, assert_hostname=self._hostname(), **more
        )

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave everything to the context."""

    def _hostname(self) -> bool | None:
        return None if self._context.check_hostname else False


def _expecting(names: str) -> type[SecureSocket]:
    class Expecting(SecureSocket):
        """A connection to a peer whose certificate bears these names."""

        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            certificate = Certificate.of(self.getpeercert() or {})
            if not certificate.bears(names):
                raise NotThePeer(f"its certificate is of {certificate.subject!r}, expected {names!r}")

    return Expecting


def _line(stow: Stow) -> str:
    assert stow.authorization is not None
    text = stow.authorization.read_text(encoding="utf-8", errors="replace").strip()
    if not text or not text.isprintable() or not text.isascii() or len(text) > _LONGEST_SECRET:
        remedy = 'one line such as "Bearer …" or "Basic …"'
        raise ConfigError([Fault(key="stow_authorization", value=str(stow.authorization), remedy=remedy)])
    return text
