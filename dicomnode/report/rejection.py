"""The rejection note by which an archive that is set up for it hides what it names."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from highdicom.sr import DeviceObserverIdentifyingAttributes, ObserverContext
from pydicom import Dataset
from pydicom.sr.codedict import codes

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report.boundary import encoding
from dicomnode.report.code import coded
from dicomnode.report.document import requests
from dicomnode.report.identity import fit, guard_study, plain
from dicomnode.report.provenance import (
    MANUFACTURER,
    MODEL_NAME,
    device_uid,
    disclaimer,
    equipment,
    series_number,
    stamp,
)
from dicomnode.report.references import evidence

ROLE = "rejection"

#: What `dicomnode retract --code` may say → title of the note (CID 7010; IHE RAD TF-3 4.66.4.1.2).
TITLES = {
    "quality": Code(value="113001", scheme="DCM", meaning="Rejected for Quality Reasons"),
    "safety": Code(value="113037", scheme="DCM", meaning="Rejected for Patient Safety Reasons"),
    "worklist": Code(value="113038", scheme="DCM", meaning="Incorrect Modality Worklist Entry"),
}


def write(datasets: Sequence[Dataset], reason: str, title: Code, provenance: Provenance, uids: ResultUids) -> Dataset:
    """A Key Object Selection (PS3.3 A.35.4, TID 2010) of objects that do not stand any more.

    What an archive of the profile Imaging Object Change Management does is its configuration (IHE RAD TF-3 4.66.4.1.3):
    it may go on showing what is rejected for quality, and hides what is rejected for safety. Others keep both.

    Parameters
    ----------
    datasets
        Headers of what is rejected, of one study, at least one.
    reason
        Why, in words.

    Raises
    ------
    EncodingError
        For no header, or headers of several patients or studies.
    """
    guard_study(datasets)
    header = fit(datasets[0])
    observer = DeviceObserverIdentifyingAttributes(
        uid=device_uid(provenance),
        name=provenance.station,
        manufacturer_name=MANUFACTURER,
        model_name=MODEL_NAME,
        serial_number=provenance.station,
    )
    described = equipment(provenance)
    with encoding(f"rejection note of study {header.StudyInstanceUID}"):
        result = KeyObjectSelectionDocument(
            evidence=[plain(header), *datasets],
            content=KeyObjectSelection(
                document_title=coded(title),
                referenced_objects=datasets,
                observer_device_context=ObserverContext(
                    observer_type=codes.DCM.Device, observer_identifying_attributes=observer
                ),
                description=f"{reason} ({disclaimer(provenance)})",
            ),
            series_instance_uid=uids.series(ROLE),
            series_number=series_number(ROLE, provenance.rule),
            sop_instance_uid=uids.instance(ROLE),
            instance_number=1,
            requested_procedures=requests(header) or None,
            specific_character_set="ISO_IR 192",
            **described,
        )
        result.CurrentRequestedProcedureEvidenceSequence = evidence(datasets)
        result.copy_patient_and_study_information(plain(header))
        stamp(result, header, provenance, ROLE)
    return result
