"""An archive as the search for priors sees it: questions over one association, retrieval over one of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from typing import Protocol

from dicomnode.config import Settings
from dicomnode.deliver.association import Timeouts, conversation
from dicomnode.domain.network import Association, Peer
from dicomnode.domain.study import Arrival
from dicomnode.query import find, retrieve
from dicomnode.query.find import FoundSeries, FoundStudy
from dicomnode.query.talk import Talk
from dicomnode.receive.contexts import transfer_syntaxes
from dicomnode.receive.header import read_arrival
from dicomnode.store.files import Files


class Questions(Protocol):
    """What can be asked of an archive; raises `Unsuitable`, `DeliveryError` or `PeerUnreachable`."""

    def studies(self, patient_id: str, first: date, last: date) -> list[FoundStudy]:
        """The studies of a patient between two days."""

    def series(self, study_instance_uid: str) -> list[FoundSeries]:
        """The series of a study."""

    def instances(self, study_instance_uid: str, series_instance_uid: str, announced: int) -> Mapping[str, str]:
        """SOP Instance UID → SOP Class UID of a series that is said to have so many objects."""


class Archive(Protocol):
    """A peer that keeps earlier studies."""

    def asked(self) -> AbstractContextManager[Questions]:
        """An association for questions."""

    def fetch(self, study_instance_uid: str, series_instance_uid: str, classes: Collection[str]) -> str:
        """Have a series brought into the scratch area; what failed in the archive's words."""


class _Questions:
    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def studies(self, patient_id: str, first: date, last: date) -> list[FoundStudy]:
        return find.studies(self._talk, patient_id, first, last)

    def series(self, study_instance_uid: str) -> list[FoundSeries]:
        return find.series(self._talk, study_instance_uid)

    def instances(self, study_instance_uid: str, series_instance_uid: str, announced: int) -> Mapping[str, str]:
        return find.instances(self._talk, study_instance_uid, series_instance_uid, announced)


class DimseArchive:
    """A peer that speaks C-FIND and, as its entry says, C-MOVE or C-GET; `keep` gets what comes by C-GET."""

    def __init__(self, peer: Peer, settings: Settings, files: Files, keep: Callable[[Arrival], None]) -> None:
        self._peer = peer
        self._aet = settings.node.aet
        self._files = files
        self._keep_arrival = keep
        self._timeouts = Timeouts(
            connect_seconds=settings.deliver.connect_timeout_seconds,
            dimse_seconds=settings.priors.response_timeout_seconds,
        )

    @contextmanager
    def asked(self) -> Iterator[Questions]:
        """An association for questions."""
        contexts = find.contexts()
        with conversation(self._peer, contexts, calling_aet=self._aet, timeouts=self._timeouts) as talk:
            yield _Questions(talk)

    def fetch(self, study_instance_uid: str, series_instance_uid: str, classes: Collection[str]) -> str:
        """Have a series brought into the scratch area, by an association of its own; returns when all has come."""
        if self._peer.retrieve == "move":
            contexts = retrieve.move_contexts()
            with conversation(self._peer, contexts, calling_aet=self._aet, timeouts=self._timeouts) as talk:
                return retrieve.move(talk, study_instance_uid, series_instance_uid, to_aet=self._aet)
        contexts = retrieve.get_contexts(classes, transfer_syntaxes())
        with conversation(
            self._peer, contexts, calling_aet=self._aet, timeouts=self._timeouts,
            roles=retrieve.get_roles(contexts),
            handlers=retrieve.get_handlers(self._keep(), self._files.folder / "priors"),
        ) as talk:  # fmt: skip
            return retrieve.get(talk, study_instance_uid, series_instance_uid)

    def _keep(self) -> Callable[[retrieve.Stored], None]:
        association = Association(
            association_id="", calling_aet=self._peer.aet, called_aet=self._aet, address=self._peer.host,
            peer=self._peer.name,
        )  # fmt: skip

        def keep(stored: retrieve.Stored) -> None:
            self._keep_arrival(
                read_arrival(
                    stored.path, association, sop_class_uid=stored.sop_class_uid,
                    sop_instance_uid=stored.sop_instance_uid, transfer_syntax_uid=stored.transfer_syntax_uid,
                    on_demand=False, move_originator=self._aet,
                )
            )  # fmt: skip

        return keep
