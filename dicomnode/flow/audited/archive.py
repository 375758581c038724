"""An archive as the audit trail sees it: every question that this node asks, and every series that it fetches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

from dicomnode.audit.event import Participant
from dicomnode.audit.file import Trail
from dicomnode.audit.message import Studied, begin_transfer, other_node, transferred
from dicomnode.domain.errors import DeliveryError, Refused
from dicomnode.domain.network import Peer
from dicomnode.domain.study import Arrival
from dicomnode.flow.audited.query import asked, record
from dicomnode.flow.audited.transfer import Brought, brought_by, told_of
from dicomnode.flow.priors.archive import Archive, Questions
from dicomnode.query.find import FoundSeries, FoundStudy, fit_key

#: Keeps an object that an archive has sent; returning means that Success may be answered.
Keep = Callable[[Arrival], None]


class Came:
    """Counts what is given to `keep`."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._counts: dict[Brought, Counter[str]] = {}

    def keep(self, arrival: Arrival) -> None:
        """Keep the object, and count it; what is refused is counted as that."""
        try:
            self._keep(arrival)
        except Refused as refusal:
            self._count(brought_by(arrival, f"refused with {refusal.status:04X}: {refusal}"), arrival)
            raise
        self._count(brought_by(arrival), arrival)

    def taken(self) -> list[tuple[Brought, Counter[str]]]:
        """What has come since this was last asked."""
        counts, self._counts = self._counts, {}
        return list(counts.items())

    def _count(self, brought: Brought, arrival: Arrival) -> None:
        self._counts.setdefault(brought, Counter())[arrival.sop_class_uid] += 1


class AuditedArchive:
    """`archive`, recorded in `trail`.

    Of what comes by C-MOVE the intake tells; of what comes by C-GET, and has to be counted in `came`, this does.
    """

    def __init__(self, archive: Archive, came: Came, peer: Peer, trail: Trail, here: Participant) -> None:
        self._archive, self._came, self._peer, self._trail, self._here = archive, came, peer, trail, here
        self._patients: dict[str, str] = {}

    @contextmanager
    def asked(self) -> Iterator[Questions]:
        """An association for questions."""
        with self._archive.asked() as questions:
            yield _Questions(questions, self._peer, self._trail, self._here, self._patients)

    def fetch(self, study_instance_uid: str, series_instance_uid: str, classes: Collection[str]) -> str:
        """Have a series brought into the scratch area; what failed in the archive's words."""
        if self._peer.retrieve != "get":
            return self._archive.fetch(study_instance_uid, series_instance_uid, classes)
        there, here = other_node(self._peer.aet, self._peer.host), replace(self._here, requestor=True)
        study = Studied(study_instance_uid=study_instance_uid, patient_id=self._patients.get(study_instance_uid, ""))
        # What a kill cuts has at least begun.
        record(self._trail, self._peer, begin_transfer(there, here, study))
        failed = ""
        try:
            failed = self._archive.fetch(study_instance_uid, series_instance_uid, classes)
        except DeliveryError as error:
            failed = str(error)
            raise
        finally:
            events = [told_of(there, here, brought, counts) for brought, counts in self._came.taken()]
            if failed:
                events.append(transferred(there, here, study, created=True, failure=failed))
            record(self._trail, self._peer, *events)
        return failed


class _Questions:
    def __init__(
        self, questions: Questions, peer: Peer, trail: Trail, here: Participant, patients: dict[str, str]
    ) -> None:
        self._questions, self._peer, self._trail, self._here = questions, peer, trail, here
        self._patients = patients

    def studies(self, patient_id: str, first: date, last: date) -> list[FoundStudy]:
        # What is no key is not asked for.
        self._tell("STUDY", PatientID=fit_key(patient_id), StudyDate=f"{first:%Y%m%d}-{last:%Y%m%d}")
        found = self._questions.studies(patient_id, first, last)
        self._patients.update((one.study_instance_uid, patient_id) for one in found)
        return found

    def series(self, study_instance_uid: str) -> list[FoundSeries]:
        self._tell("SERIES", StudyInstanceUID=study_instance_uid)
        return self._questions.series(study_instance_uid)

    def instances(self, study_instance_uid: str, series_instance_uid: str, announced: int) -> Mapping[str, str]:
        self._tell("IMAGE", StudyInstanceUID=study_instance_uid, SeriesInstanceUID=series_instance_uid)
        return self._questions.instances(study_instance_uid, series_instance_uid, announced)

    def _tell(self, level: str, **keys: str) -> None:
        record(self._trail, self._peer, asked(self._here, self._peer, level, **keys))
