"""Where a supervisor hears that it shall take another configuration: judged first, then taken as a whole or not at all.

What was judged is what is taken: the text is read once, and the processes get that text and not the file.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread

import structlog

from dicomnode import config
from dicomnode.config import Settings
from dicomnode.domain.errors import ConfigError, DicomNodeError, Fault
from dicomnode.flow.reload.changes import changes, needs_restart
from dicomnode.flow.reload.handed import Text
from dicomnode.flow.reload.line import Line, heard, opened
from dicomnode.flow.reload.outside import unusable

_log = structlog.get_logger(__name__)

#: Whoever has asked says within this whether it shall be taken.
_ANSWER_SECONDS = 60.0

#: Whoever has just been answered may ask again at once.
_MOMENT_SECONDS = 1.0


@dataclass(slots=True, kw_only=True)
class Desk:
    """Hears and answers; everything here runs beside the supervisor's loop.

    Attributes
    ----------
    settings
        What the processes run with.
    exchange
        Replaces the processes by such that get a text; why it did not, or "".
    taken
        Told afterwards: settings, changes in words, whoever asked.
    remarks
        What else is to be known of new settings, in words.
    """

    folder: Path
    roles: Sequence[str]
    path: Path
    settings: Settings
    exchange: Callable[[Text], str]
    taken: Callable[[Settings, Sequence[str], str], None]
    remarks: Callable[[Settings], list[str]]
    stop: Event
    _one: Lock = field(default_factory=Lock)

    @contextmanager
    def hearing(self) -> Iterator[None]:
        """Hear meanwhile."""
        listening = opened(self.folder, self.roles[0])
        thread = Thread(target=self._hear, args=(listening,), name="reload", daemon=True)
        thread.start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            listening.close()

    def from_file(self) -> None:
        """Take what the file says now, as SIGHUP asks for; returns at once, and the log tells what came of it."""
        Thread(target=self._from_file, name="reload-file", daemon=True).start()

    def _hear(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _address = listening.accept()
            except OSError:
                return
            Thread(target=self._serve, args=(connection,), name="reload-served", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with heard(connection, _ANSWER_SECONDS) as line:
            mine = self._one.acquire(timeout=_MOMENT_SECONDS)
            try:
                if mine:
                    self._dialogue(line)
                else:
                    line.say({"busy": "another reload is under way; try again when it is done"})
            except DicomNodeError as error:
                _log.warning("reload not finished", reason=str(error))
            finally:
                if mine:
                    self._one.release()

    def _dialogue(self, line: Line) -> None:
        asked = line.hear()
        text, theirs = str(asked.get("text", "")), str(asked.get("path", ""))
        new, told, faults = self._judged(text)
        if theirs != str(self.path):
            faults = [Fault(key="--config", value=theirs, remedy=f"this node runs with {self.path}")]
        notes = self.remarks(new) if new is not None and not faults else []
        line.say({"roles": self.roles, "faults": [asdict(one) for one in faults], "changes": told, "remarks": notes})
        if new is None or faults or not told or not line.hear().get("take"):
            return
        line.say({"refused": self._take(text, new, told, line.who)})

    def _from_file(self) -> None:
        if not self._one.acquire(blocking=False):
            _log.warning("reload not begun", reason="another one is under way")
            return
        try:
            text = self.path.read_text(encoding="utf-8")
            new, told, faults = self._judged(text)
            for fault in faults:
                _log.error("configuration not taken", fault=str(fault))
            if new is not None and told and not faults:
                self._take(text, new, told, "SIGHUP")
            elif not faults:
                _log.info("configuration read; nothing has changed")
        except (OSError, UnicodeDecodeError) as error:
            _log.error("configuration not taken", fault=f"{self.path}: {error}")
        finally:
            self._one.release()

    def _judged(self, text: str) -> tuple[Settings | None, list[str], list[Fault]]:
        try:
            new = config.load_text(text, self.path)
        except ConfigError as error:
            return None, [], list(error.faults)
        faults = needs_restart(self.settings, new)
        return new, changes(self.settings, new), faults or unusable(text, self.path)

    def _take(self, text: str, new: Settings, told: Sequence[str], who: str) -> str:
        try:
            refused = self.exchange(Text(text))
        except OSError as error:
            refused = f"the system has no room for it: {error.strerror}"
        if refused:
            _log.error("configuration not taken", reason=refused)
            return refused
        self.settings = new
        for change in told:
            _log.info("configuration changed", change=change, by=who)
        self.taken(new, told, who)
        return ""
