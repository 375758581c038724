"""Takes the patient out of a data set, with everything that is nested in it."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag

from dicomnode.deident import method, unlisted
from dicomnode.deident.codes import REMOVED, clean_code, is_code
from dicomnode.deident.content import clean_item
from dicomnode.deident.dates import DUMMIES, shifted
from dicomnode.deident.pixels import judge
from dicomnode.deident.pseudonym import Pseudonyms
from dicomnode.deident.table import Action, graphics, table
from dicomnode.deident.words import cleaned
from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.privacy import Keep

_DATES = frozenset({"DA", "TM", "DT"})
_SHORT_TEXTS = frozenset({"LO", "SH"})
_TEXTS = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "PN"})
_BYTES = frozenset({"OB", "UN"})

_PATIENT_NAME, _PATIENT_ID = Tag("PatientName"), Tag("PatientID")
_AGE = Tag("PatientAge")
_OFFSET = re.compile(r"[+-]\d{4}")
#: Sequences of content items, whose texts the item's concept decides on.
_CONTENT = frozenset(
    map(Tag, ("ContentSequence", "AcquisitionContextSequence", "SpecimenPreparationStepContentItemSequence"))
)
_TRAILING_PADDING = Tag(0xFFFC, 0xFFFC)
#: 45 CFR 164.514(b)(2)(i)(C): ages over 89 are one category.
_OLDEST = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Deidentified:
    """A data set without its patient, and what a person should look at before it leaves."""

    dataset: Dataset = field(repr=False)
    warnings: tuple[str, ...]


def deidentify(ds: Dataset, pseudonyms: Pseudonyms, keep: Set[Keep] = frozenset()) -> Deidentified:
    """De-identify by the Basic Application Level Confidentiality Profile with options (PS3.15 E.2, E.3).

    Structured content is always cleaned, private attributes, curves and overlays are always removed. UIDs are replaced
    by ones that the secret and the old UID decide, so references between objects hold, whenever each is processed.
    Dates, where kept, move for each patient by his own number of days.

    Parameters
    ----------
    ds
        A data set with file meta information. It is changed.

    Raises
    ------
    Unsuitable
        If names may stand in the pixels, or the object is a document or none that has a patient.
    """
    missing = [one for one in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID") if not ds.get(one)]
    if missing or "TransferSyntaxUID" not in ds.file_meta:
        raise Unsuitable(
            f"not de-identified: no composite object, {', '.join(missing) or 'TransferSyntaxUID'} is missing"
        )
    warnings = judge(ds)
    patient = "\x1f".join(str(ds.get(one, "") or "").strip() for one in ("PatientID", "IssuerOfPatientID"))
    if not str(ds.get("PatientID", "") or "").strip():
        patient = str(ds.get("StudyInstanceUID", ""))
    _Walk(pseudonyms, keep, patient).over(ds)
    method.state(ds, keep)
    _renew_meta(ds)
    return Deidentified(dataset=ds, warnings=warnings)


def _renew_meta(ds: Dataset) -> None:
    """File meta information that names no sender, and a preamble that says nothing (PS3.10 7.1)."""
    old, meta = ds.file_meta, FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = old.TransferSyntaxUID
    ds.file_meta = meta
    ds.preamble = b"\0" * 128


class _Walk:
    """One pass over a data set; `patient` decides by how much dates move."""

    def __init__(self, pseudonyms: Pseudonyms, keep: Set[Keep], patient: str) -> None:
        self._names = pseudonyms
        self._keep = keep
        self._patient = patient
        self._days = pseudonyms.shift_days(patient)

    def over(self, ds: Dataset, *, content: bool = False) -> None:
        if is_code(ds):
            clean_code(ds, self._names)
        if content:
            clean_item(ds, self._names, self._keep)
        for tag in list(ds.keys()):
            if tag.is_private or graphics(tag) or tag.element == 0 or tag.group < 8 or tag == _TRAILING_PADDING:
                del ds[tag]
                continue
            element = ds[tag]
            row = table().get(tag)
            action = row.action(self._keep) if row else None
            if tag in _CONTENT:
                self._into(element, content=True)
            elif content and element.keyword in ("TextValue", "PersonName"):
                continue  # `clean_item` has
            elif action is None:
                self._unlisted(ds, element)
            elif row is not None:
                self._listed(ds, element, action, row.basic_action)

    def _listed(self, ds: Dataset, element: DataElement, action: Action, basic: Action) -> None:
        if action is Action.CLEAN:
            if self._clean(element):
                return
            action = basic
        if action is Action.REMOVE:
            del ds[element.tag]
        elif action is Action.KEEP:
            self._kept(element)
        elif element.tag in (_PATIENT_NAME, _PATIENT_ID):
            element.value = self._names.name("patient", self._patient)
        elif element.VR == "SQ":
            if action is Action.EMPTY:
                element.value = []
            else:
                self._into(element)
        elif action is Action.UID or (action is Action.DUMMY and element.VR == "UI"):
            self._rename(element)
        elif action is Action.EMPTY:
            element.value = b"" if element.VR in _BYTES else None
        else:
            self._dummy(ds, element)

    def _kept(self, element: DataElement) -> None:
        if element.VR == "SQ":
            self._into(element)
        elif element.VR in _DATES and Keep.DATES in self._keep:
            # Beside dates that moved, one that did not would tell by how much.
            self._date(element)
        elif element.tag == _AGE:
            element.value = unlisted.each(element.value, _age)

    def _clean(self, element: DataElement) -> bool:
        """Whether something could be left of it."""
        if element.VR == "SQ":
            self._into(element)
        elif element.VR in _DATES:
            self._date(element)
        elif element.keyword == "TimezoneOffsetFromUTC":
            return bool(_OFFSET.fullmatch(str(element.value)))
        elif element.VR in _TEXTS - {"PN"}:
            element.value = unlisted.each(element.value, cleaned)
        else:
            return False
        return bool(element.value)

    def _unlisted(self, ds: Dataset, element: DataElement) -> None:
        vr = element.VR
        if vr == "SQ":
            self._into(element)
        elif vr == "UI":
            if not unlisted.names_a_kind(element):
                self._rename(element)
        elif vr in _DATES:
            self._date(element)
        elif vr in ("IS", "DS") and not unlisted.is_number(element):
            element.value = None
        elif vr == "AS":
            element.value = unlisted.each(element.value, _age)
        elif vr in ("AE", "UR") or (vr in _BYTES and element.keyword not in unlisted.BYTES):
            del ds[element.tag]
        elif vr in _TEXTS and element.keyword not in unlisted.TECHNICAL and element.value:
            element.value = unlisted.each(element.value, _in_known_words if vr in _SHORT_TEXTS else _in_no_words)

    def _into(self, element: DataElement, *, content: bool = False) -> None:
        for item in element.value or []:
            self.over(item, content=content)

    def _rename(self, element: DataElement) -> None:
        def other(uid: str) -> str:
            return uid if not uid or unlisted.of_the_standard(uid) else self._names.uid(uid)

        element.value = unlisted.each(element.value, other)

    def _date(self, element: DataElement) -> None:
        def moved(text: str) -> str:
            return shifted(element.VR, text, self._days) if Keep.DATES in self._keep else ""

        element.value = unlisted.each(element.value, moved)

    def _dummy(self, ds: Dataset, element: DataElement) -> None:
        dummy: Any = DUMMIES.get(element.VR, REMOVED)
        if element.VR in ("OB", "UN", "AE", "UR"):
            del ds[element.tag]
            return
        if element.VR in ("CS", "AS", "IS", "DS"):
            dummy = {"CS": "REMOVED", "AS": "000Y"}.get(element.VR, "0")
        element.value = unlisted.each(element.value or "", lambda _: dummy)


def _in_known_words(text: str) -> str:
    return text if text in unlisted.DEFINED else cleaned(text) or REMOVED


def _in_no_words(_text: str) -> str:
    return REMOVED


def _age(text: str) -> str:
    if not unlisted.is_age(text):
        return ""
    return f"{_OLDEST:03d}Y" if text.endswith("Y") and int(text[:3]) >= _OLDEST else text
