"""The text of a configuration as a supervisor hands it to its processes: what was judged is what they get."""

from __future__ import annotations

import os

from dicomnode.flow.running import Handed

#: Environment of a child: the descriptor that holds the text, and the ports that are open for it.
_TEXT = "DICOMNODE_CONFIGURATION"
_PORTS = "DICOMNODE_PORTS"


class Text:
    """What a file said when it was judged, in memory alone: nobody can change it, and no copy is left anywhere."""

    def __init__(self, text: str) -> None:
        self._descriptor = os.memfd_create("dicomnode.toml")
        with os.fdopen(os.dup(self._descriptor), "wb") as file:
            file.write(text.encode())

    def handed(self, ports: dict[str, int]) -> Handed:
        """What a process gets: this text, and listening sockets by the keys of the configuration."""
        named = ",".join(f"{key}={descriptor}" for key, descriptor in ports.items())
        environment = {_TEXT: str(self._descriptor), _PORTS: named}
        return Handed(environment=environment, descriptors=(self._descriptor, *ports.values()))

    def close(self) -> None:
        """Let go of it; processes that have it keep it."""
        os.close(self._descriptor)


def handed_text() -> str | None:
    """What the supervisor of this process has handed to it; None without one."""
    if _TEXT not in os.environ:
        return None
    descriptor = int(os.environ[_TEXT])
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()


def close_ports() -> None:
    """Let go of ports that are for another process: one that is held here stays open when the listener has left it."""
    for descriptor in handed_ports().values():
        os.close(descriptor)


def handed_ports() -> dict[str, int]:
    """Key of the configuration → the socket that listens for it already."""
    pairs = (pair.split("=") for pair in os.environ.get(_PORTS, "").split(",") if pair)
    return {key: int(descriptor) for key, descriptor in pairs}
