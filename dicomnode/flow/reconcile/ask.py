"""An archive as the reconciliation asks it: by C-FIND over one association, each question recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date

from dicomnode.config import Settings
from dicomnode.deliver.association import Timeouts, conversation
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.header import Header
from dicomnode.domain.network import Peer
from dicomnode.flow.audited.query import asked, record
from dicomnode.flow.audited.trail import open_trail, this_node
from dicomnode.query import find, recent
from dicomnode.query.talk import Talk


class _Catalogue:
    def __init__(self, talk: Talk, peer: Peer, settings: Settings) -> None:
        self._talk, self._peer = talk, peer
        self._trail, self._here = open_trail(settings), this_node(settings)

    def studies(self, day: date, keywords: tuple[str, ...]) -> Mapping[str, Header]:
        self._tell("STUDY", StudyDate=f"{day:%Y%m%d}")
        return recent.studies_of(self._talk, day, keywords)

    def series(self, study_instance_uid: str, keywords: tuple[str, ...]) -> Mapping[str, Header]:
        self._tell("SERIES", StudyInstanceUID=study_instance_uid)
        return recent.series_of(self._talk, study_instance_uid, keywords)

    def _tell(self, level: str, **keys: str) -> None:
        if self._trail is not None:
            record(self._trail, self._peer, asked(self._here, self._peer, level, **keys))


@contextmanager
def asking(peer: Peer, settings: Settings) -> Iterator[_Catalogue]:
    """An association for questions.

    Raises
    ------
    DicomNodeError
        The peer has no DICOM port, cannot be reached, or accepts no association.
    """
    if not peer.port:
        raise DicomNodeError(f"{peer.name}: has no DICOM port (port = 0), and is asked by C-FIND")
    timeouts = Timeouts(
        connect_seconds=settings.deliver.connect_timeout_seconds,
        dimse_seconds=settings.priors.response_timeout_seconds,
    )
    with conversation(peer, find.contexts(), calling_aet=settings.node.aet, timeouts=timeouts) as talk:
        yield _Catalogue(talk, peer, settings)
