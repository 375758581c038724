"""Earlier studies of the same patient: which ones a rule wants, and what of one an analysis is handed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

#: As a source of priors: the node's own store.
OWN_STORE = "store"

#: How every remark on a doubtful identity begins.
IDENTITY_UNCERTAIN = "prior identity uncertain"

#: How the remark on a prior begins whose files are no longer kept.
CLEANED_UP = "prior no longer at hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorWish:
    """Which earlier studies a rule wants beside the one that it analyses (`priors` of a rule).

    Attributes
    ----------
    sources
        Names of peers, or `OWN_STORE`; asked in this order.
    within_days
        How long before the present study a prior may lie.
    at_most
        How many: the newest and the earliest (the baseline) before those between them.
    wait_seconds
        How long a source is asked again after the study has settled; the first result never waits for it.
    """

    sources: tuple[str, ...]
    within_days: int = 1095
    at_most: int = 2
    wait_seconds: float = 3600.0

    @property
    def peers(self) -> tuple[str, ...]:
        """The sources that have to be asked over the network."""
        return tuple(source for source in self.sources if source != OWN_STORE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientIdentity:
    """What tells one patient from another (PS3.3 C.7.1.1), without padding; "" where a data set lacks it."""

    patient_id: str
    issuer: str = ""
    birth_date: str = ""
    sex: str = ""

    def doubts(self, other: PatientIdentity) -> tuple[str, ...]:
        """Keywords that do not vouch for the same patient; empty when all do.

        Patient ID, birth date and sex vouch by being the same and present on both sides. Most hospitals write no
        issuer at all; without one on both sides the Patient ID stands for the domain that both studies come from.
        """
        pairs = (
            ("PatientID", self.patient_id, other.patient_id),
            ("IssuerOfPatientID", self.issuer or "-", other.issuer or "-"),
            ("PatientBirthDate", self.birth_date, other.birth_date),
            ("PatientSex", self.sex, other.sex),
        )
        return tuple(keyword for keyword, ours, theirs in pairs if not ours or ours != theirs)

    def completed(self, other: PatientIdentity) -> PatientIdentity:
        """The same with what is missing from `other`, which is known to be of the same study."""
        return PatientIdentity(
            patient_id=self.patient_id or other.patient_id,
            issuer=self.issuer or other.issuer,
            birth_date=self.birth_date or other.birth_date,
            sex=self.sex or other.sex,
        )


class PriorKind(StrEnum):
    """What a file of a prior is good for."""

    IMAGE = "image"
    MASK = "mask"
    CONTOURS = "contours"
    REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorFile:
    """One file of a prior.

    Attributes
    ----------
    input
        Name of the model's input that an image would feed, or a mask or structure set where the model measures such;
        "" for everything else.
    own
        Whether this node made the object; its masks and reports can be read back as they were meant.
    """

    kind: PriorKind
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    path: Path
    input: str = ""
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """An earlier study as one job may use it, frozen with the job.

    Attributes
    ----------
    source
        `OWN_STORE` or the name of the peer that it was fetched from.
    files
        Only whole series; empty where they were cleaned up since (`CLEANED_UP`).
    remark
        Why nothing may be compared with it automatically (it begins with `IDENTITY_UNCERTAIN` or `CLEANED_UP`);
        "" where all agrees.
    newest_left_out
        Day of the newest study that could have been used beside it and was not, since a rule takes no more
        (`PriorWish.at_most`); None where there is none.
    """

    study_instance_uid: str
    study_date: date
    source: str
    files: tuple[PriorFile, ...]
    remark: str = ""
    newest_left_out: date | None = None

    @property
    def images(self) -> dict[str, list[Path]]:
        """Name of an input of the model → the images of the prior that would feed it, as `analyse` takes them."""
        found: dict[str, list[Path]] = {}
        for file in self.files:
            if file.kind is PriorKind.IMAGE:
                found.setdefault(file.input, []).append(file.path)
        return found

    @property
    def masks(self) -> tuple[PriorFile, ...]:
        """Its segmentations (SEG and label map), this node's and others."""
        return tuple(file for file in self.files if file.kind is PriorKind.MASK)

    @property
    def contours(self) -> tuple[PriorFile, ...]:
        """Its RT Structure Sets, this node's (`PriorFile.own`) and others."""
        return tuple(file for file in self.files if file.kind is PriorKind.CONTOURS)

    @property
    def reports(self) -> tuple[PriorFile, ...]:
        """Its structured reports."""
        return tuple(file for file in self.files if file.kind is PriorKind.REPORT)
