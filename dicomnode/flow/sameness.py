"""What counts when an object comes again with other bytes, and when the objects of a study contradict each other."""

from __future__ import annotations

from collections.abc import Iterable

from dicomnode.domain.header import Header
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Study

#: Who and what the study is about (PS3.3 C.2.2, C.7.2.1).
IDENTITY = (
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber",
)  # fmt: skip
#: Where the pixels are and what they mean (PS3.3 C.7.6.2, C.7.6.16, C.11.1).
GEOMETRY = (
    "SeriesInstanceUID", "FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SliceThickness", "Rows", "Columns", "NumberOfFrames", "RescaleSlope", "RescaleIntercept",
    "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence",
)  # fmt: skip

#: What the bytes of pixels mean (PS3.3 C.7.6.3). Transcoding changes some of these together with the bytes: they count
#: only where the bytes are the same.
PIXELS = (
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation",
)  # fmt: skip

#: What a structure set calls its regions and what they are (PS3.3 C.8.8.5, C.8.8.6, C.8.8.8).
REGIONS = ("StructureSetROISequence", "ROIContourSequence", "RTROIObservationsSequence")

#: What every instance of a study must agree on before anything is sent under its name.
PATIENT = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate")


def counted_keywords(rules: Iterable[Rule]) -> tuple[str, ...]:
    """Identity, geometry, regions and the attributes of rules; a change of anything else changes no result."""
    conditions = [
        condition for rule in rules for table in (rule.study, rule.series, *rule.inputs.values()) for condition in table
    ]
    return tuple(dict.fromkeys((*IDENTITY, *GEOMETRY, *REGIONS, *(condition.path[0] for condition in conditions))))


def changes(current: Header, newcomer: Header, keywords: Iterable[str]) -> list[str]:
    """Those of `keywords` whose values differ between an object and a newcomer under its UID."""
    return [keyword for keyword in keywords if _value(current, keyword) != _value(newcomer, keyword)]


def disagreements(study: Study) -> list[str]:
    """Patient attributes in which the instances of a study differ; only their names, never their values."""
    headers = [instance.header for series in study.series for instance in series.instances]
    return [keyword for keyword in PATIENT if len({_plain(header.text(keyword)) for header in headers} - {""}) > 1]


def _value(header: Header, keyword: str) -> object:
    """The value as JSON; an attribute that is empty says no more than one that is absent."""
    return header.element(keyword).get("Value") or None


def _plain(text: str) -> str:
    """A text without the differences of spelling that mean nothing: case, blanks, empty name components."""
    return text.strip().strip("^").strip().casefold()
