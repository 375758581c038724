"""Asks for an address elsewhere for as long as the node is well; whoever waits there complains when nothing comes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import structlog

from dicomnode.config import Settings
from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.alerts.request import request
from dicomnode.flow.pulse import ages_seconds, patience_seconds
from dicomnode.store.database import Database

_log = structlog.get_logger(__name__)

#: The processes without which studies do not become results.
ROLES = ("receive", "work", "deliver")

#: For one request: a watch that is slow is no reason to miss the next beat.
_TIMEOUT_SECONDS = 10.0


class Heart:
    """Beats while listener, work and deliver live and the store can be written. What goes wrong is logged once."""

    def __init__(
        self,
        settings: Settings,
        connect: Callable[[], Database],
        ages: Callable[..., dict[str, float]] = ages_seconds,
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._ages = ages
        self._said = ""

    def beat(self) -> bool:
        """Beat once; whether the other side has heard it."""
        trouble = self.trouble()
        if trouble:
            self._say("no heartbeat", trouble)
            return False
        table = self._settings.heartbeat
        seconds = min(_TIMEOUT_SECONDS, table.every_seconds)
        try:
            request(table.method, table.url, b"" if table.method == "POST" else None, {}, table.ca, seconds)
        except (OSError, ValueError) as error:
            self._say("heartbeat not heard", str(error))
            return False
        self._say("heartbeat heard", "")
        return True

    def trouble(self) -> str:
        """Why the node is not well, or ""."""
        ages = self._ages(self._settings.store.folder, ROLES)
        silent = [role for role in ROLES if role not in ages or ages[role] >= patience_seconds(role)]
        if silent:
            return f"no sign of life of {', '.join(silent)}"
        try:
            with closing(self._connect()) as db:
                db.settle_log()
        except DicomNodeError as error:
            return f"the store cannot be written: {error}"
        return ""

    def _say(self, what: str, reason: str) -> None:
        # Not each time: a watch that is away for a weekend would fill the log. What differs in numbers is the same.
        key = "" if what == "heartbeat heard" else f"{what} {reason}"
        if key != self._said:
            (_log.warning if reason else _log.info)(what, **({"reason": reason} if reason else {}))
        self._said = key
