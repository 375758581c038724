"""Has the encoding libraries read their tables before the first study waits for its results."""

from __future__ import annotations

from highdicom import SOPClass
from pydicom import Dataset
from pydicom.uid import UID, EnhancedSRStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from dicomnode.report.identity import fit

_ROOT = UID("2.25.1")


def warm_up() -> None:
    """Half a second of the processor, which highdicom takes once to read which attributes each object has."""
    source = Dataset()
    source.SOPClassUID, source.SOPInstanceUID, source.StudyInstanceUID = SecondaryCaptureImageStorage, _ROOT, _ROOT
    SOPClass(
        study_instance_uid=_ROOT,
        series_instance_uid=_ROOT,
        series_number=1,
        sop_instance_uid=_ROOT,
        sop_class_uid=EnhancedSRStorage,
        instance_number=1,
        modality="SR",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    ).copy_patient_and_study_information(fit(source))
