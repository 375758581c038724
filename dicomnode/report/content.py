"""Content items that our structured reports share: observer, procedure, algorithm, measurements and comments."""

from __future__ import annotations

import math
from collections.abc import Iterable

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    LanguageOfContentItemAndDescendants,
    ObservationContext,
    ObserverContext,
    RelationshipTypeValues,
    TextContentItem,
)
from highdicom.sr import Measurement as MeasurementItem
from pydicom import Dataset
from pydicom.sr.codedict import codes

from dicomnode.domain.finding import Measurement, Provenance
from dicomnode.domain.model import Task
from dicomnode.report.code import coded
from dicomnode.report.provenance import MANUFACTURER, MODEL_NAME, device_uid, parameters
from dicomnode.report.rank import rank

COMMENT = CodedConcept("121106", "DCM", "Comment")

#: Title of reports without contours (the concept is of TID 4000; CID 7021 is extensible): viewers show them as text.
SUMMARY = CodedConcept("111065", "DCM", "Summary of Analyses")

#: CID 100 "Quantitative Diagnostic Imaging Procedures".
_PROCEDURES = {
    "CT": CodedConcept("25045-6", "LN", "CT unspecified body region"),
    "MR": CodedConcept("25056-3", "LN", "MRI unspecified body region"),
    "PT": CodedConcept("44136-0", "LN", "PET unspecified body region"),
}
_IMAGING_PROCEDURE = CodedConcept("363679005", "SCT", "Imaging procedure")


def language() -> LanguageOfContentItemAndDescendants:
    """English of the United States (TID 1204)."""
    return LanguageOfContentItemAndDescendants(CodedConcept("en-US", "RFC5646", "English (United States)"))


def observation_context(provenance: Provenance) -> ObservationContext:
    """The model as device observer (TID 1001, TID 1004); its UID changes with the weights."""
    device = DeviceObserverIdentifyingAttributes(
        uid=device_uid(provenance),
        name=provenance.station,
        manufacturer_name=MANUFACTURER,
        model_name=MODEL_NAME,
        serial_number=provenance.station,
    )
    return ObservationContext(
        observer_device_context=ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    )


def procedure(header: Dataset) -> CodedConcept:
    """The imaging procedure that was analysed (CID 100), not the analysis."""
    return _PROCEDURES.get(str(header.Modality), _IMAGING_PROCEDURE)


def model_algorithm(provenance: Provenance) -> AlgorithmIdentification:
    """The network as algorithm (TID 4019), or the measuring of what somebody has drawn, which is of no family."""
    model = provenance.model
    return AlgorithmIdentification(
        name=model.name,
        version=model.version,
        parameters=[f"{name}={value}" for name, value in parameters(provenance).items()],
        family=None if model.task is Task.MEASURE else codes.DCM.ArtificialIntelligence,
        manufacturer=model.manufacturer,
    )


def rows(measurements: Iterable[Measurement], segment_number: int) -> list[MeasurementItem]:
    """The measurements of one segment (TID 1419), those first that a reader needs first.

    Values that are not finite cannot be encoded and are left out.
    """
    return [
        MeasurementItem(
            name=coded(row.name),
            value=float(row.value),
            unit=coded(row.unit),
            derivation=coded(row.derivation) if row.derivation else None,
            method=coded(row.method) if row.method else None,
        )
        for row in sorted(measurements, key=rank)
        if row.segment_number == segment_number and math.isfinite(row.value)
    ]


def comment(text: str) -> TextContentItem:
    """A line of text for the reader."""
    return TextContentItem(name=COMMENT, value=text, relationship_type=RelationshipTypeValues.CONTAINS)
