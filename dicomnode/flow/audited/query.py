"""Questions to archives as the audit trail sees them: each is recorded before it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ImplicitVRLittleEndian

from dicomnode.audit.event import Event, Participant
from dicomnode.audit.file import Trail
from dicomnode.audit.message import other_node, query
from dicomnode.config import Settings
from dicomnode.domain.commitment import Reference, Report, Request
from dicomnode.domain.errors import OutOfResources, PeerUnreachable
from dicomnode.domain.identity import StudyIdentity
from dicomnode.domain.network import Peer
from dicomnode.flow.audited.trail import open_trail, this_node
from dicomnode.flow.commitment.line import Line
from dicomnode.flow.identity.ask import Question
from dicomnode.store.commitments import Wanted

#: Study Root Query/Retrieve Information Model - FIND (PS3.4 C.6.2.3), the only one that this node asks in.
_FIND = "1.2.840.10008.5.1.4.1.2.2.1"


def asked(here: Participant, peer: Peer, level: str, **keys: str) -> Event:
    """The message of a question at this level with these keys."""
    identifier = Dataset()
    identifier.SpecificCharacterSet, identifier.QueryRetrieveLevel = "ISO_IR 192", level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = True, True
    write_dataset(stream, identifier)
    there = other_node(peer.aet, peer.host)
    return query(here, there, _FIND, stream.getvalue(), str(ImplicitVRLittleEndian))


def record(trail: Trail, peer: Peer, *events: Event) -> None:
    """Record what is done with an archive; where that has to be and cannot, it is as if the archive were away.

    Raises
    ------
    PeerUnreachable
        The trail is required and cannot be written.
    """
    try:
        trail.record(*events)
    except OutOfResources as error:
        raise PeerUnreachable(f"{peer.name}: {error}") from error


def audited_question(question: Question, trail: Trail, here: Participant) -> Question:
    """`question`, recorded in `trail`."""

    def ask(peer: Peer, study_instance_uid: str) -> Sequence[StudyIdentity] | None:
        record(trail, peer, asked(here, peer, "STUDY", StudyInstanceUID=study_instance_uid))
        return question(peer, study_instance_uid)

    return ask


def audited_line(line: Line, peer: Peer, settings: Settings) -> Line:
    """`line`, recorded where a trail is kept."""
    trail = open_trail(settings)
    return line if trail is None else AuditedLine(line, peer, trail, this_node(settings))


class AuditedLine:
    """`line`, of which the questions by C-FIND are recorded, a message for each series; N-ACTION has none (A.5.3)."""

    def __init__(self, line: Line, peer: Peer, trail: Trail, here: Participant) -> None:
        self._line, self._peer, self._trail, self._here = line, peer, trail, here

    def request(self, wanted: Request, keep: Callable[[Report], bool], reported: Callable[[], bool]) -> None:
        """Ask it to commit."""
        self._line.request(wanted, keep, reported)

    def tell(self, calling_aet: str, report: Report) -> int:
        """Report to it; its status."""
        return self._line.tell(calling_aet, report)

    def query(self, wanted: Iterable[Wanted]) -> Mapping[Reference, int]:
        """Ask it which of these objects it has."""
        objects = list(wanted)
        series = dict.fromkeys((one.study_instance_uid, one.series_instance_uid) for one in objects)
        events = [
            asked(self._here, self._peer, "IMAGE", StudyInstanceUID=study_uid, SeriesInstanceUID=series_uid)
            for study_uid, series_uid in series
        ]
        record(self._trail, self._peer, *events)
        return self._line.query(objects)
