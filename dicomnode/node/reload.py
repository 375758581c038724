"""What the processes of one supervisor run with: ports that stay open, and settings that may be replaced."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from threading import Event

import structlog

from dicomnode import config, log
from dicomnode.audit.event import Outcome, Participant
from dicomnode.audit.message import SOFTWARE_CONFIGURATION, alert
from dicomnode.config import Settings
from dicomnode.domain.errors import ConfigError, DicomNodeError, OutOfResources
from dicomnode.flow import notify_systemd
from dicomnode.flow.audited.trail import open_trail, this_node
from dicomnode.flow.reload.desk import Desk
from dicomnode.flow.reload.handed import Text, handed_text
from dicomnode.flow.reload.succession import Succession
from dicomnode.flow.running import Handed
from dicomnode.node.opened import open_store
from dicomnode.receive.ports import listening
from dicomnode.store.notices import owed_to_others
from dicomnode.store.waiting import waiting_by_rule

_log = structlog.get_logger(__name__)

#: What an audit message says of changes; the log has all of them.
_MOST_CHARACTERS = 2000


def text_of(path: Path) -> str:
    """The configuration of this process: what its supervisor has handed to it, else what the file says."""
    handed = handed_text()
    return config.text_of(path) if handed is None else handed


class InForce:
    """The settings and their text, and the sockets that listen for as long as the node runs.

    Attributes
    ----------
    settings
        Those that the processes run with now.
    """

    def __init__(self, settings: Settings, text: str, path: Path, roles: Sequence[str], stop: Event) -> None:
        self.settings = settings
        self._path, self._roles, self._stop = path, roles, stop
        self._text = Text(text)
        self._ports: dict[str, socket.socket] = {}

    def open_ports(self) -> None:
        """Open the ports of the listener, if this supervisor has one: callers wait then, and are not refused.

        Raises
        ------
        DicomNodeError
            One cannot be opened now; that may be different the next time.
        """
        if "receive" not in self._roles:
            return
        node, tls, stow = self.settings.node, self.settings.tls, self.settings.stow
        wanted = [] if tls.port and tls.only else [("node.port", node.host, node.port)]
        for key, host, port in (("tls.port", node.host, tls.port), ("stow.port", stow.host or node.host, stow.port)):
            wanted += [(key, host, port)] if port else []
        try:
            for key, host, port in wanted:
                self._ports[key] = listening(key, host, port)
        except ConfigError as error:
            self.close_ports()
            raise DicomNodeError(str(error)) from error

    def close_ports(self) -> None:
        """Let nobody wait any more."""
        for opened in self._ports.values():
            opened.close()

    @property
    def handed(self) -> Handed:
        """What a process gets."""
        return self._text.handed({key: opened.fileno() for key, opened in self._ports.items()})

    def desk(self, succession: Succession) -> Desk:
        """Where this supervisor hears of another configuration."""

        def exchange(text: Text) -> str:
            notify_systemd.reloading()
            former, self._text = self._text, text
            wish = succession.ask(self.handed)
            while wish is not None and not wish.done.wait(0.1) and not self._stop.is_set():
                pass
            refused = "another one is under way" if wish is None else wish.refused
            if wish is not None and not wish.done.is_set():
                refused = "the node stops"
            if refused:
                self._text = former
            (text if refused else former).close()
            notify_systemd.ready()
            return refused

        return Desk(
            folder=self.settings.store.folder, roles=self._roles, path=self._path, settings=self.settings,
            exchange=exchange, taken=self._taken, remarks=self._remarks, stop=self._stop,
        )  # fmt: skip

    def _taken(self, new: Settings, told: Sequence[str], who: str) -> None:
        self.settings = new
        log.configure(new.log.level, new.log.format, "node")
        trail = open_trail(new)
        if trail is None:
            return
        what = f"configuration changed: {'; '.join(told)}"
        person = Participant(user_id=who, requestor=True)
        # The trail counts what could not be written; the processes run with it all the same.
        event = alert(SOFTWARE_CONFIGURATION, this_node(new), person, what[:_MOST_CHARACTERS], Outcome.SUCCESS)
        with suppress(OutOfResources):
            trail.record(event)

    def _remarks(self, new: Settings) -> list[str]:
        """What becomes of jobs whose rule is gone, and of notices to a `[[notify]]` that is."""
        try:
            with closing(open_store(self.settings)[0]) as db:
                waiting = waiting_by_rule(db)
                unsent = owed_to_others(db, [table.name for table in new.notify])
        except DicomNodeError as error:
            # Such as a database that others hold; the configuration is taken all the same.
            return [f"what waits could not be counted: {error}"]
        names = {rule.name for rule in new.rules if rule.runs}
        jobs = [
            f"rule {name} no longer runs: {count} waiting job(s) of it end without a result, and their studies say so"
            for name, count in waiting.items()
            if name not in names
        ]
        notices = [f"notify {name} is gone: {count} notice(s) that were not sent are dropped"
                   for name, count in unsent.items()]  # fmt: skip
        return jobs + notices
