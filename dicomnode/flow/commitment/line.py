"""A peer as storage commitment sees it: requests and reports over DIMSE, and questions by C-FIND."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Protocol

from dicomnode.config import Settings
from dicomnode.deliver import commitment
from dicomnode.deliver.association import LONGEST_ANSWER_BYTES, Timeouts, conversation
from dicomnode.domain.commitment import Failure, Reference, Report, Request
from dicomnode.domain.network import Peer
from dicomnode.query import find
from dicomnode.query.kept import kept
from dicomnode.store.commitments import Wanted


class Line(Protocol):
    """What can be said to a peer; raises `DeliveryError`, `NotOffered` or `PeerUnreachable`."""

    def request(self, wanted: Request, keep: Callable[[Report], bool], reported: Callable[[], bool]) -> None:
        """Ask it to commit; see `deliver.commitment.request`."""

    def tell(self, calling_aet: str, report: Report) -> int:
        """Report to it under this title of ours; its status."""

    def query(self, wanted: Iterable[Wanted]) -> Mapping[Reference, int]:
        """0 for each object that it has, a Failure Reason for each that it has not."""


class DimseLine:
    """A peer that is called under this node's AE title."""

    def __init__(self, peer: Peer, settings: Settings) -> None:
        self._peer = peer
        self._aet = settings.node.aet
        self._timeouts = Timeouts(
            connect_seconds=settings.deliver.connect_timeout_seconds,
            dimse_seconds=settings.deliver.response_timeout_seconds,
        )

    def request(self, wanted: Request, keep: Callable[[Report], bool], reported: Callable[[], bool]) -> None:
        """Ask it to commit; see `deliver.commitment.request`."""
        commitment.request(
            self._peer, wanted, calling_aet=self._aet, timeouts=self._timeouts, keep=keep, reported=reported
        )

    def tell(self, calling_aet: str, report: Report) -> int:
        """Report to it under the title that it has called (PS3.4 J.3.3); its status."""
        return commitment.tell(self._peer, report, calling_aet=calling_aet, timeouts=self._timeouts)

    def query(self, wanted: Iterable[Wanted]) -> Mapping[Reference, int]:
        """Ask by C-FIND at IMAGE level (PS3.4 C.6.2.1); an object under another SOP class is not the one asked for."""

        def series(one: Wanted) -> tuple[str, str]:
            return one.study_instance_uid, one.series_instance_uid

        found: dict[Reference, int] = {}
        contexts = find.contexts()
        with conversation(
            self._peer, contexts, calling_aet=self._aet, timeouts=self._timeouts, longest_bytes=LONGEST_ANSWER_BYTES
        ) as talk:
            for (study_uid, series_uid), group in groupby(sorted(wanted, key=series), key=series):
                references = [one.reference for one in group]
                there = kept(talk, study_uid, series_uid, [one.sop_instance_uid for one in references])
                found |= {one: _verdict(one, there.get(one.sop_instance_uid)) for one in references}
        return found


def _verdict(reference: Reference, sop_class_uid: str | None) -> int:
    if sop_class_uid is None:
        return int(Failure.NO_SUCH_INSTANCE)
    return 0 if sop_class_uid in ("", reference.sop_class_uid) else int(Failure.CONFLICT)
