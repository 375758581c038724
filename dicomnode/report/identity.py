"""Patient and study attributes of source headers, guarded against mixing and made fit for encoding."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.config import RAISE, disable_value_validation
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.valuerep import DA, TM, validate_value

from dicomnode.domain.errors import EncodingError
from dicomnode.report.boundary import UNREADABLE, encoding

#: Type 2 in Patient and General Study (PS3.3 C.7.1.1, C.7.2.1): present, perhaps empty.
_TYPE_2 = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)

#: Identity is passed on as it came, however odd: dropping it would file the result under nobody.
_IDENTITY = frozenset({"PatientID", "IssuerOfPatientID", "PatientName", "StudyInstanceUID"})

_IDENTITY_TAGS = frozenset(Tag(keyword) for keyword in _IDENTITY)

_CHECKED_VRS = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM"})

#: What pydicom gives as text (PS3.5 section 6.2).
_TEXT_VRS = _CHECKED_VRS | {"PN", "UC", "UI", "UR", "UT"}

#: Most characters of a short text (PS3.5 Table 6.2-1).
_LONGEST = {"SH": 16, "LO": 64}

#: Values that scanners write for "not entered" (a warning in every validator).
_ZERO_MEANS_UNKNOWN = ("PatientWeight", "PatientSize", "PatientAge")

_PATIENT_NAME = Tag("PatientName")
_SOP_CLASS = Tag("SOPClassUID")

_BULK_GROUPS = frozenset({0x7FE0, 0x5400})
_OVERLAY_GROUPS = range(0x6000, 0x6100)
#: Geometry and acquisition of thousands of frames, none of which is told of patient or study.
_FUNCTIONAL_GROUPS = frozenset({Tag("SharedFunctionalGroupsSequence"), Tag("PerFrameFunctionalGroupsSequence")})

#: highdicom looks up what to copy by SOP class and knows the standard's alone, and wants functional groups of the
#: multi-frame ones; Secondary Capture has the modules of patient and study that every image has.
_PLAIN_CLASS = "1.2.840.10008.5.1.4.1.1.7"

_MODALITIES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.128": "PT",
    "1.2.840.10008.5.1.4.1.1.20": "NM",
}


def only(datasets: Sequence[Dataset], keyword: str, what: str) -> str:
    """The one value of `keyword` in all headers; "" where none has it.

    Raises
    ------
    EncodingError
        If there are several. The values stay out of the message: it may be logged and they may name a patient.
    """
    values = {text.strip() for text in _texts(datasets, keyword)}
    if len(values) != 1:
        raise EncodingError(f"source of {len(datasets)} headers: found {len(values)} {what}, needed one")
    return values.pop()


def _texts(datasets: Sequence[Dataset], keyword: str) -> set[str]:
    """The values that there are, by tag, since looking up a keyword in each of a thousand headers takes longer."""
    tag = Tag(keyword)
    return {str((ds[tag].value if tag in ds else None) or "") for ds in datasets}


def guard_study(datasets: Sequence[Dataset]) -> None:
    """Let headers of one patient and one study pass.

    Raises
    ------
    EncodingError
        For no header at all, several patients (PatientID and issuer), none or several studies, or an identity that
        cannot be read.
    """
    with encoding(f"source of {len(datasets)} headers: identity"):
        _guard(datasets)


def _guard(datasets: Sequence[Dataset]) -> None:
    if not datasets:
        raise EncodingError("source: found no header, needed at least one")
    only(datasets, "PatientID", "patients")
    only(datasets, "IssuerOfPatientID", "issuers of the patient ID")
    # Blank in some objects of a study is common; two different ones are two patients under one ID.
    for keyword, what in (("PatientName", "patient names"), ("PatientBirthDate", "birth dates")):
        told = {text.strip().strip("^").strip().casefold() for text in _texts(datasets, keyword)} - {""}
        if len(told) > 1:
            raise EncodingError(f"source of {len(datasets)} headers: found {len(told)} {what}, needed one")
    if not only(datasets, "StudyInstanceUID", "studies"):
        raise EncodingError("source: found no StudyInstanceUID, needed one")


def fit(header: Dataset) -> Dataset:
    """A copy of `header` that encodes cleanly, without private attributes, overlays and pixel data.

    Text is held decoded and will be written as ISO_IR 192; attributes of type 2 are present; sex, dates, times
    and lengths are those that PS3.5 section 6.2 allows, else empty, shortened or left out, as is what cannot be read.
    The original is not touched.

    Raises
    ------
    EncodingError
        If the identity cannot be read.
    """
    with encoding("source: header"):
        return _fitted(header)


def _fitted(header: Dataset) -> Dataset:
    # What is not valid is dropped or cut below; pydicom would only say so on the terminal.
    with disable_value_validation():
        fitted = _copied(header)
    fitted.SpecificCharacterSet = "ISO_IR 192"
    for keyword in ("AccessionNumber", "StudyID"):
        if keyword in fitted:
            fitted[keyword].value = str(fitted[keyword].value or "").strip()[:16]
    fitted.PatientSex = _sex(fitted.get("PatientSex"))
    _shorten(fitted)
    _drop_invalid(fitted)
    for keyword in _TYPE_2:
        if keyword not in fitted or fitted[keyword].value is None:
            setattr(fitted, keyword, "")
    for keyword, kind in (("PatientBirthDate", DA), ("StudyDate", DA), ("StudyTime", TM)):
        if not _readable(str(fitted[keyword].value), kind):
            setattr(fitted, keyword, "")
    if not (fitted.get("DeidentificationMethod") or fitted.get("DeidentificationMethodCodeSequence")):
        # Said without a method (type 1C with YES, PS3.3 C.7.1.1) it would make the result invalid, too.
        fitted.pop("PatientIdentityRemoved", None)
    if not fitted.get("Modality"):
        fitted.Modality = _MODALITIES.get(str(fitted.get("SOPClassUID", "")), "OT")
    return fitted


def plain(header: Dataset) -> Dataset:
    """A copy for highdicom's constructors, of a class that they can copy from and without the patient's name.

    For a name of one component highdicom warns, and the warning, name included, would end up in the journal;
    `provenance.stamp` puts the name into the result. References have to be written from the true header.
    """
    shown = Dataset()  # not copy(): that shares the elements between original and copy
    for element in header:
        shown.add(element)
    shown[_PATIENT_NAME] = DataElement(_PATIENT_NAME, "PN", "")
    shown[_SOP_CLASS] = DataElement(_SOP_CLASS, "UI", _PLAIN_CLASS)
    return shown


def _copied(dataset: Dataset) -> Dataset:
    kept = Dataset()
    for tag in list(dataset.keys()):
        if tag.is_private or tag.element == 0 or tag.group in _BULK_GROUPS or tag.group in _OVERLAY_GROUPS:
            continue
        if tag in _FUNCTIONAL_GROUPS:
            continue
        try:
            element = dataset[tag]
            items = [_copied(item) for item in element.value or ()] if element.VR == "SQ" else []
        except UNREADABLE:
            # Not a value of its representation, such as a weight of "N/A" or a sequence that is cut short.
            if tag in _IDENTITY_TAGS:
                raise
            continue
        if not _of_its_kind(element):
            continue
        if element.VR == "SQ":
            # What is copied into results has no sequence that may stand empty.
            if items:
                kept[tag] = DataElement(tag, "SQ", Items(items))
        else:
            kept[tag] = copy(element)
    return kept


def _of_its_kind(element: DataElement) -> bool:
    """Whether an element is text or a sequence where the dictionary says so; identity passes as it is."""
    if element.tag in _IDENTITY_TAGS or not dictionary_has_tag(element.tag):
        return True
    expected = dictionary_VR(element.tag)
    if "SQ" in (expected, element.VR):
        return bool(expected == element.VR)
    return expected not in _TEXT_VRS or element.VR in _TEXT_VRS


def _shorten(dataset: Dataset) -> None:
    """Cut texts that are longer than their representation allows (PS3.5 Table 6.2-1), in items of sequences too."""
    for element in list(dataset):
        if element.VR == "SQ":
            # Half a code is another code.
            element.value = Items(item for item in element.value if len(str(item.get("CodeValue") or "")) <= 16)
            for item in element.value:
                _shorten(item)
                _drop_invalid(item)
        elif element.VR in _LONGEST and element.VM == 1 and element.keyword not in _IDENTITY:
            element.value = str(element.value).strip()[: _LONGEST[element.VR]]


def _drop_invalid(dataset: Dataset) -> None:
    for element in list(dataset):
        if element.VR not in _CHECKED_VRS or element.keyword in _IDENTITY or element.is_empty:
            continue
        values = element.value if element.VM > 1 else [element.value]
        try:
            for value in values:
                validate_value(element.VR, str(value), RAISE)
        except ValueError:
            del dataset[element.tag]
    for keyword in _ZERO_MEANS_UNKNOWN:
        digits = re.sub(r"\D", "", str(dataset.get(keyword) or ""))
        if keyword in dataset and not digits.strip("0"):
            delattr(dataset, keyword)


def _sex(value: Any) -> str:
    """M, F, O or "" (PS3.3 C.7.1.1); anything else that was entered is O."""
    sex = str(value or "").strip().upper()
    return sex if sex in ("M", "F", "O", "") else "O"


def _readable(value: str, kind: Callable[[str], Any]) -> bool:
    try:
        kind(value)
    except ValueError:
        return False
    return True
