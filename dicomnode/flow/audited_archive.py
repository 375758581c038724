"""An archive as the audit trail sees it: every question that this node asks, and every series that it fetches."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ImplicitVRLittleEndian

from dicomnode.audit.event import Event, Participant
from dicomnode.audit.file import Trail
from dicomnode.audit.message import Studied, other_node, query, transferred
from dicomnode.domain.errors import OutOfResources, PeerUnreachable
from dicomnode.domain.network import Peer
from dicomnode.flow.priors_archive import Archive, Questions
from dicomnode.query.find import FoundSeries, FoundStudy, fit_key

#: Study Root Query/Retrieve Information Model - FIND (PS3.4 C.6.2.3), the only one that this node asks in.
_FIND = "1.2.840.10008.5.1.4.1.2.2.1"


class AuditedArchive:
    """`archive`, recorded in `trail`.

    Of what comes by C-MOVE the intake tells; of what comes by C-GET this does.
    """

    def __init__(self, archive: Archive, peer: Peer, trail: Trail, here: Participant) -> None:
        self._archive, self._peer, self._trail, self._here = archive, peer, trail, here

    @contextmanager
    def asked(self) -> Iterator[Questions]:
        """An association for questions."""
        with self._archive.asked() as questions:
            yield _Questions(questions, self._peer, self._trail, self._here)

    def fetch(self, study_instance_uid: str, series_instance_uid: str, classes: Collection[str]) -> str:
        """Have a series brought into the scratch area; what failed in the archive's words."""
        failed = self._archive.fetch(study_instance_uid, series_instance_uid, classes)
        if self._peer.retrieve == "get":
            study = Studied(study_instance_uid=study_instance_uid)
            there = other_node(self._peer.aet, self._peer.host)
            _record(self._trail, self._peer, transferred(there, self._here, study, created=True, failure=failed))
        return failed


class _Questions:
    def __init__(self, questions: Questions, peer: Peer, trail: Trail, here: Participant) -> None:
        self._questions, self._peer, self._trail, self._here = questions, peer, trail, here

    def studies(self, patient_id: str, first: date, last: date) -> list[FoundStudy]:
        keys = Dataset()
        # What is no key is not asked for.
        keys.PatientID, keys.StudyDate = fit_key(patient_id), f"{first:%Y%m%d}-{last:%Y%m%d}"
        self._tell("STUDY", keys)
        return self._questions.studies(patient_id, first, last)

    def series(self, study_instance_uid: str) -> list[FoundSeries]:
        keys = Dataset()
        keys.StudyInstanceUID = study_instance_uid
        self._tell("SERIES", keys)
        return self._questions.series(study_instance_uid)

    def instances(self, study_instance_uid: str, series_instance_uid: str, announced: int) -> Mapping[str, str]:
        keys = Dataset()
        keys.StudyInstanceUID, keys.SeriesInstanceUID = study_instance_uid, series_instance_uid
        self._tell("IMAGE", keys)
        return self._questions.instances(study_instance_uid, series_instance_uid, announced)

    def _tell(self, level: str, keys: Dataset) -> None:
        keys.QueryRetrieveLevel, keys.SpecificCharacterSet = level, "ISO_IR 192"
        there = other_node(self._peer.aet, self._peer.host)
        asked = query(self._here, there, _FIND, _encoded(keys), str(ImplicitVRLittleEndian))
        _record(self._trail, self._peer, asked)


def _record(trail: Trail, peer: Peer, event: Event) -> None:
    """Record what was done; where that has to be and cannot, the search goes on when it can."""
    try:
        trail.record(event)
    except OutOfResources as error:
        raise PeerUnreachable(f"{peer.name}: {error}") from error


def _encoded(keys: Dataset) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = True, True
    write_dataset(stream, keys)
    return stream.getvalue()
