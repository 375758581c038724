"""Opens the ports of the listener before there is one, so that whoever calls is never refused meanwhile."""

from __future__ import annotations

import socket

from dicomnode.domain.errors import ConfigError, Fault

#: As many may wait as the listener lets wait (`Server.request_queue_size`).
_WAITING = 128


def listening(key: str, host: str, port: int) -> socket.socket:
    """A socket that listens; who connects waits until somebody accepts.

    Parameters
    ----------
    key
        Of the configuration, for the message.

    Raises
    ------
    ConfigError
        The port is taken, or the host is no address of this machine.
    """
    try:
        family, kind, *_rest, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind)
        try:
            # Not for a port in use: only for one that a former process has left (TIME_WAIT).
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(address)
            opened.listen(_WAITING)
        except OSError:
            opened.close()
            raise
    except OSError as error:
        remedy = f"cannot listen there: {error.strerror or error}; choose a free port and an own address"
        raise ConfigError([Fault(key=key, value=f"{host}:{port}", remedy=remedy)]) from error
    return opened
