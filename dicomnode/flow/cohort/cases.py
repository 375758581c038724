"""The cases of a cohort: every object with contours and the images that it was drawn on."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dicomnode.domain.header import Header
from dicomnode.domain.study import Series, Study
from dicomnode.flow.offline import studies_in
from dicomnode.flow.stacks import in_stacks
from dicomnode.route.contours import holds_contours, series_named, shows
from dicomnode.route.select import choose
from dicomnode.store.cohorts import own_masks, settled_studies
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.studies import Studies

#: Digits of a pseudonym: 64 bits, so that two of a million patients share one with a chance of 3 in 100 million.
_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One object with contours and its images, as files, to be measured in any process.

    Attributes
    ----------
    patient
        Pseudonym, or Patient ID where that was asked for.
    lacking
        Why it cannot be measured, or "".
    digest
        Over its files, where a case with other files has to be computed anew; "" where its UIDs tell.
    """

    patient: str
    study_instance_uid: str
    series_instance_uid: str
    contours_sop_instance_uid: str
    contours: Path = field(repr=False)
    images: tuple[Path, ...] = field(repr=False)
    lacking: str = ""
    digest: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What tells cases apart; a case without a digest keeps it when its images are found later."""
        return (self.study_instance_uid, self.contours_sop_instance_uid, *filter(None, [self.digest]))

    @property
    def order(self) -> tuple[str, str, str, str]:
        """By what cases are sorted."""
        return (self.patient, self.study_instance_uid, self.series_instance_uid, self.contours_sop_instance_uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How patients are called in the tables.

    Attributes
    ----------
    key
        Of the pseudonyms: who has it can find the patient of a pseudonym by trying Patient IDs. None: Patient ID.
    """

    key: bytes | None = field(repr=False)

    def patient(self, header: Header, study_instance_uid: str) -> str:
        """Name of the patient of a study; studies without a Patient ID are patients of their own."""
        issuer, patient = header.text("IssuerOfPatientID"), header.text("PatientID").strip()
        if self.key is None:
            return patient
        told = f"{issuer}\n{patient}" if patient else f"study {study_instance_uid}"
        return hmac.new(self.key, told.encode(), hashlib.sha256).hexdigest()[:_DIGITS]


def cases_of(study: Study, naming: Naming) -> Iterator[Case]:
    """Every object with contours in a study, with the stack that it shows or why there is none."""
    split = in_stacks(study)
    images = [series for series in split.series if not holds_contours(series)]
    for contours in split.series:
        if holds_contours(contours):
            stack, lacking = _images_of(contours, images)
            drawn = contours.instances[0]
            yield Case(
                patient=naming.patient((stack or contours).header, study.study_instance_uid),
                study_instance_uid=study.study_instance_uid,
                series_instance_uid=stack.series_instance_uid if stack else "",
                contours_sop_instance_uid=drawn.sop_instance_uid,
                contours=drawn.path,
                images=tuple(instance.path for instance in stack.instances) if stack else (),
                lacking=lacking,
            )


def _images_of(contours: Series, images: Sequence[Series]) -> tuple[Series | None, str]:
    header = contours.instances[0].header
    named = set(series_named(header))
    candidates = [series for series in images if series.series_instance_uid in named and "Rows" in series.header]
    if not named:
        return None, "it names no series of images, needed the one on which it was drawn"
    if not candidates:
        return None, f"it names series {', '.join(sorted(named))}, which is not among the files"
    chosen, _why = choose([series for series in candidates if shows(series, header)] or candidates)
    return chosen, ""


def stored_studies(db: Database, files: Files) -> Iterator[Study]:
    """The studies of the node's store, with the masks that the node made of them among their series."""
    for uid in settled_studies(db):
        study = Studies(db, files).load(uid)
        if study is None or not study.series:
            continue
        made, _left_out = studies_in(own_masks(db, files, uid))
        own = [series for one in made if one.study_instance_uid == uid for series in one.series]
        known = {instance.sop_instance_uid for series in study.series for instance in series.instances}
        fresh = tuple(series for series in own if series.instances[0].sop_instance_uid not in known)
        yield replace(study, series=(*study.series, *fresh))
