"""The process that answers people and programs: dashboard and REST interface."""

from __future__ import annotations

from threading import Event

from dicomnode.config import Settings
from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.ready import say_ready

#: How soon it is noticed that the thread which answers has ended by itself.
_LOOK_SECONDS = 1.0


def web(settings: Settings, stop: Event) -> None:
    """Answer until stopped.

    Raises
    ------
    ConfigError
        The port is taken, or what is to be shown to browsers cannot be used.
    DicomNodeError
        It answers no more without having been stopped; its supervisor starts it anew.
    """
    # Imported here, since the other processes do well without a web server.
    from dicomnode.web.app import create_app
    from dicomnode.web.desk import Desk
    from dicomnode.web.server import Server

    desk = Desk(settings=settings)
    # Makes the store where there is none, and finds out now what would fail with the first request.
    with desk.opened():
        pass
    server = Server(create_app(desk), settings.web)
    server.start()
    say_ready()
    try:
        while not stop.wait(_LOOK_SECONDS):
            if not server.alive:
                raise DicomNodeError("web: the server has ended by itself")
    finally:
        server.stop(settings.node.drain_seconds)
        desk.close()
