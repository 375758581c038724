"""What every object that highdicom has no class for says of patient, study, series and equipment."""

from __future__ import annotations

import highdicom
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dicomnode.domain.finding import Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report.identity import plain
from dicomnode.report.provenance import equipment, series_number, stamp


class ResultObject(highdicom.SOPClass):
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
