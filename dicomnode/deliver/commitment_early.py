"""Takes the report of an archive that answers over the association on which it was asked."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from contextlib import suppress
from queue import Empty, Queue
from time import monotonic

import structlog
from pynetdicom import evt

from dicomnode.deliver.association import Conversation
from dicomnode.domain.commitment import Malformed, Report, read_report
from dicomnode.domain.decoding import DATA_SET_FAULTS
from dicomnode.domain.errors import OutOfResources

_log = structlog.get_logger(__name__)

#: How long the association stays open for it. Some archives report here and nowhere else (PS3.4 J.3.3 leaves it to
#: them); those who call back, do so meanwhile.
_LINGER_SECONDS = 2.0

#: How often it is looked whether the report has come elsewhere.
_LOOK_SECONDS = 0.1

_SUCCESS, _PROCESSING_FAILURE, _INVALID_VALUE, _NO_RESOURCES = 0x0000, 0x0110, 0x0115, 0x0213


class EarlyReport:
    """Hands a report from pynetdicom's thread to the one that asked, and its verdict back."""

    def __init__(self) -> None:
        self._come: Queue[tuple[Report, Future[int]]] = Queue()

    @property
    def handlers(self) -> list[evt.EventHandlerType]:
        """What answers an N-EVENT-REPORT on the association."""
        return [(evt.EVT_N_EVENT_REPORT, self._on_report)]

    def listen(self, talk: Conversation, keep: Callable[[Report], bool], reported: Callable[[], bool]) -> None:
        """Keep a report that comes within a moment; what does not come is looked for elsewhere.

        Parameters
        ----------
        keep, reported
            As in `commitment.request`.
        """
        until = monotonic() + _LINGER_SECONDS
        while talk.association.is_established and not reported() and monotonic() < until:
            with suppress(Empty):
                report, answer = self._come.get(timeout=_LOOK_SECONDS)
                try:
                    answer.set_result(_SUCCESS if keep(report) else _INVALID_VALUE)
                except OutOfResources as error:
                    _log.error("commitment report not kept", reason=str(error))
                    answer.set_result(_NO_RESOURCES)

    def _on_report(self, event: evt.Event) -> tuple[int, None]:
        try:
            report = read_report(event.event_information)
        except (Malformed, *DATA_SET_FAULTS) as error:
            _log.warning("commitment report refused", reason=type(error).__name__)
            return _INVALID_VALUE, None
        answer: Future[int] = Future()
        self._come.put((report, answer))
        try:
            return answer.result(_LINGER_SECONDS), None
        except NotInTime:
            # Nobody listens here any more; an archive that repeats its report calls for that.
            return _PROCESSING_FAILURE, None
