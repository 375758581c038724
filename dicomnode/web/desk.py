"""What every request works with: the settings, and the store for as long as the request lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from dicomnode.config import Settings
from dicomnode.domain.clock import Clock, utc_now
from dicomnode.store.database import Database
from dicomnode.store.files import Files

#: So many connections are kept for the next requests: opening one looks for migrations and sets the connection up.
_KEPT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The store of one request; no other request has this connection at the same time."""

    db: Database
    files: Files


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where requests are answered.

    Attributes
    ----------
    path
        The file that `settings` were read from.
    """

    settings: Settings
    path: Path = Path("dicomnode.toml")
    clock: Clock = utc_now
    _idle: list[Database] = field(default_factory=list, repr=False, compare=False)

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        """The store, for one thread at a time.

        Raises
        ------
        OutOfResources
            The database cannot be opened now.
        """
        try:
            db = self._idle.pop()
        except IndexError:
            db = Database(self.settings.store.folder / "node.db", clock=self.clock)
        try:
            yield Opened(db=db, files=Files(self.settings.store.folder))
        except BaseException:
            # Whatever state it is in, nobody else gets it.
            db.close()
            raise
        if len(self._idle) < _KEPT:
            self._idle.append(db)
        else:
            db.close()

    def close(self) -> None:
        """Close the connections that no request has."""
        while self._idle:
            self._idle.pop().close()


def desk_of(request: Request) -> Desk:
    """The desk of the application."""
    desk: Desk = request.app.state.desk
    return desk


def _settings(request: Request) -> Settings:
    return desk_of(request).settings


def _opened(request: Request) -> Iterator[Opened]:
    with desk_of(request).opened() as opened:
        yield opened


SettingsNow = Annotated[Settings, Depends(_settings)]
OpenStore = Annotated[Opened, Depends(_opened)]
