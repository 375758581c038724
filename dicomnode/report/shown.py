"""What every object made for people's eyes says of patient, study, equipment and sources."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import highdicom
from pydicom import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian

from dicomnode.domain.finding import Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report.identity import plain
from dicomnode.report.provenance import MANUFACTURER, MODEL_NAME, equipment, series_number, shortened, stamp
from dicomnode.report.references import evidence


class ShownObject(highdicom.SOPClass):
    """Patient, General Study, series, equipment and SOP Common, as highdicom's own classes have them."""

    def __init__(
        self,
        sop_class_uid: str,
        modality: str,
        header: Dataset,
        provenance: Provenance,
        uids: ResultUids,
        role: str,
        *,
        instance: str,
        instance_number: int,
    ) -> None:
        """Fill in everything that is not the content itself.

        Parameters
        ----------
        header
            A fitted header of the source.
        role
            Which series it belongs to.
        instance
            Which SOP Instance UID it gets among the roles of `uids`.
        """
        described = equipment(provenance)
        contributing = described.pop("contributing_equipment")
        source = plain(header)
        super().__init__(
            study_instance_uid=header.StudyInstanceUID,
            series_instance_uid=uids.series(role),
            series_number=series_number(role, provenance.rule),
            sop_instance_uid=uids.instance(instance),
            sop_class_uid=sop_class_uid,
            instance_number=instance_number,
            modality=modality,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            patient_id=header.PatientID,
            patient_birth_date=header.PatientBirthDate,
            patient_sex=header.PatientSex,
            accession_number=header.AccessionNumber,
            study_id=header.StudyID,
            study_date=header.StudyDate,
            study_time=header.StudyTime,
            referring_physician_name=header.ReferringPhysicianName,
            specific_character_set="ISO_IR 192",
            **described,
        )
        self.copy_patient_and_study_information(source)
        self._add_contributing_equipment(contributing, source)
        stamp(self, header, provenance, role)
        # SC Equipment (PS3.3 C.8.6.1); both kinds of object have it.
        self.ConversionType = "WSD"
        self.BurnedInAnnotation = "YES"


def made_by(result: Dataset, provenance: Provenance) -> None:
    """Name this node as what captured the picture (PS3.3 C.8.6.1, C.8.6.2)."""
    result.SecondaryCaptureDeviceManufacturer = MANUFACTURER
    result.SecondaryCaptureDeviceManufacturerModelName = MODEL_NAME
    result.SecondaryCaptureDeviceSoftwareVersions = [shortened(provenance.node_version)]
    result.DateOfSecondaryCapture, result.TimeOfSecondaryCapture = result.ContentDate, result.ContentTime


def refer_to_objects(result: Dataset, datasets: Sequence[Dataset]) -> None:
    """Name objects of one study as sources (General Reference, Common Instance Reference, PS3.3 C.12.4, C.12.2)."""
    (study,) = evidence(datasets)
    result.SourceInstanceSequence = Items(
        deepcopy(one) for series in study.ReferencedSeriesSequence for one in series.ReferencedSOPSequence
    )
    items = []
    for series in study.ReferencedSeriesSequence:
        item = Dataset()
        item.SeriesInstanceUID = series.SeriesInstanceUID
        item.ReferencedInstanceSequence = series.ReferencedSOPSequence
        items.append(item)
    result.ReferencedSeriesSequence = Items(items)
