"""Makes TLS contexts from certificate, key and authorities, and makes them anew when a file has changed."""

from __future__ import annotations

import ssl
from pathlib import Path
from threading import Lock

import structlog

from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.domain.network import Tls
from dicomnode.tls.connection import SecureSocket, reason_of
from dicomnode.tls.profile import PROFILES

log = structlog.get_logger(__name__)

#: Permissions of a key that others than owner and group have; systemd's credentials are 0440 or 0400.
_OTHERS = 0o007
_GROUP_WRITES = 0o020


class Credentials:
    """What one side of a connection shows and trusts.

    Parameters
    ----------
    server
        Whether for connections that peers open; otherwise for those that this node opens.
    required
        For a server: whether the peer has to show a certificate.
    hostname
        For a client: whether the certificate has to name the host that was called (RFC 9525).

    Raises
    ------
    ConfigError
        A file is missing, cannot be used, or the key can be read by everybody.
    """

    def __init__(self, tls: Tls, *, server: bool, required: bool = True, hostname: bool = True) -> None:
        self._tls, self._server, self._required, self._hostname = tls, server, required, hostname
        self._lock = Lock()
        self._stamp = self._stamped()
        self._context = self._made()

    def context(self) -> ssl.SSLContext:
        """The context for the next connection, from the files as they are now.

        A change that cannot be used, such as a certificate whose key has not been replaced yet, leaves everything as it
        was and is logged once; connections that are open are never touched.
        """
        with self._lock:
            # Taken before the files are read: one that changes meanwhile is noticed the next time.
            stamp = self._stamped()
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._context = self._made()
                except ConfigError as error:
                    log.error("certificate_not_reloaded", reason=str(error))
                else:
                    log.info("certificate_reloaded", certificate=str(self._tls.certificate))
            return self._context

    def _stamped(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in (self._tls.certificate, self._tls.key, self._tls.ca))

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if self._server else ssl.PROTOCOL_TLS_CLIENT)
        context.sslsocket_class = SecureSocket
        # RFC 8996 and RFC 9325 3.1.1: nothing below TLS 1.2, no compression, no renegotiation.
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(PROFILES[self._tls.profile].openssl)
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        # An association is opened once; a session that could be resumed would outlive a certificate that was replaced.
        context.options |= ssl.OP_NO_TICKET
        if self._server:
            context.num_tickets = 0
            context.verify_mode = ssl.CERT_REQUIRED if self._required else ssl.CERT_OPTIONAL
        else:
            context.check_hostname = self._hostname
        # `ca` may name the certificate of one device in place of its authority.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self._trust(context)
        self._show(context)
        return context

    def _trust(self, context: ssl.SSLContext) -> None:
        if self._tls.ca is None:
            if self._server and not self._required:
                context.verify_mode = ssl.CERT_NONE
            return
        try:
            context.load_verify_locations(self._tls.ca)
        except (OSError, ssl.SSLError) as error:
            raise _faulty("tls.ca", self._tls.ca, error, "a PEM file with the authorities of the peers") from error

    def _show(self, context: ssl.SSLContext) -> None:
        certificate, key = self._tls.certificate, self._tls.key
        if certificate is None or key is None:
            return
        check_secret(key, "tls.key")
        try:
            # An encrypted key would make OpenSSL ask on a terminal, which a service does not have.
            context.load_cert_chain(certificate, key, password="")
        except (OSError, ssl.SSLError, ValueError) as error:
            needed = f"a PEM certificate that belongs to the unencrypted key {key}"
            raise _faulty("tls.certificate", certificate, error, needed) from error


def check_secret(path: Path, key: str) -> None:
    """Make sure that a file with a secret is there and that nobody but owner and group can read it.

    Parameters
    ----------
    key
        Of the configuration, for the message.

    Raises
    ------
    ConfigError
        With what to do about it.
    """
    try:
        mode = path.stat().st_mode
        with path.open("rb"):
            pass
    except OSError as error:
        raise _faulty(key, path, error, "a file that the node's account can read") from error
    if mode & (_OTHERS | _GROUP_WRITES):
        remedy = f"its mode is {mode & 0o777:04o}, so that others may read or change it; chmod 0600 {path}"
        raise ConfigError([Fault(key=key, value=str(path), remedy=remedy)])


def _faulty(key: str, path: Path, error: OSError | ValueError, needed: str) -> ConfigError:
    reason = reason_of(error) if isinstance(error, OSError) else str(error)
    return ConfigError([Fault(key=key, value=str(path), remedy=f"{reason}; needed: {needed}")])


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    """What changes when a file is replaced or rewritten."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
