"""Names that people give to regions become codes."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from dicomnode.domain.model import Subject
from dicomnode.infer.contours.naming import by_codes, by_name


@pytest.mark.parametrize(
    ("name", "interpreted", "code", "side", "subject"),
    [
        ("GTV-1", "ORGAN", "228791009", None, Subject.LESION),
        ("GTV_Mass_CT", "", "228791009", None, Subject.LESION),
        ("GTVp", "GTV", "228791009", None, Subject.LESION),
        ("GTVn", "GTV", "59441001", None, Subject.LYMPH_NODE),
        ("GTV-N1", "", "59441001", None, Subject.LYMPH_NODE),
        ("LN_Ax_L", "", "59441001", "Left", Subject.LYMPH_NODE),
        ("PTV 60 Gy", "ORGAN", "228793007", None, Subject.STRUCTURE),
        ("CTV-1", "", "228792002", None, Subject.STRUCTURE),
        ("Lung L", "ORGAN", "39607008", "Left", Subject.STRUCTURE),
        ("RIGHT LUNG", "", "39607008", "Right", Subject.STRUCTURE),
        ("Lung_R", "", "39607008", "Right", Subject.STRUCTURE),
        ("SpinalCord", "", "2748008", None, Subject.STRUCTURE),
        ("Esophagus", "ORGAN", "32849002", None, Subject.STRUCTURE),
        ("BrainStem", "", "119238007", None, Subject.STRUCTURE),
        ("Brain", "", "12738006", None, Subject.STRUCTURE),
        ("Parotid_L", "", "45289007", "Left", Subject.STRUCTURE),
        ("Patient", "EXTERNAL", "38266002", None, Subject.STRUCTURE),
        ("contrast", "ORGAN", "111099", None, Subject.STRUCTURE),
        ("something", "GTV", "228791009", None, Subject.LESION),
        ("mets", "", "14799000", None, Subject.LESION),
        ("Nodule 3", "", "27925004", None, Subject.LESION),
        ("liver lesion 2", "", "52988006", None, Subject.LESION),
        ("xyz", "", "111099", None, Subject.STRUCTURE),
        ("7", "", "111099", None, Subject.STRUCTURE),
        ("7", "GTV", "228791009", None, Subject.LESION),
        ("Lung", "GTV", "228791009", None, Subject.LESION),
        ("Lung_GTV", "", "228791009", None, Subject.LESION),
        ("GTV Neck", "", "228791009", None, Subject.LESION),
        ("iGTV", "", "228791009", None, Subject.LESION),
        ("Gtv-T1", "", "228791009", None, Subject.LESION),
        ("Nodal GTV", "", "59441001", None, Subject.LYMPH_NODE),
        ("LNStation7", "", "59441001", None, Subject.LYMPH_NODE),
        ("Nodal_CTV", "", "228792002", None, Subject.STRUCTURE),
        ("CTVn", "", "228792002", None, Subject.STRUCTURE),
        ("Liver_CTV", "", "228792002", None, Subject.STRUCTURE),
        ("Lungs-GTV", "", "39607008", None, Subject.STRUCTURE),
        ("Liver-GTV", "ORGAN", "10200004", None, Subject.STRUCTURE),
        ("Brain_Met_1", "", "14799000", None, Subject.LESION),
        ("BrainMet1", "", "14799000", None, Subject.LESION),
        ("LiverMet", "", "14799000", None, Subject.LESION),
        ("brainmets", "", "14799000", None, Subject.LESION),
        ("Lung_Met_R", "", "14799000", "Right", Subject.LESION),
        ("LUNGTUMOR", "", "108369006", None, Subject.LESION),
        ("Gallbladder", "", "28231008", None, Subject.STRUCTURE),
        ("Bladder", "", "89837001", None, Subject.STRUCTURE),
        ("Masseter_L", "", "111099", "Left", Subject.STRUCTURE),
        ("Non_Tumor_Liver", "", "10200004", None, Subject.STRUCTURE),
        ("Breast_TumorBed", "", "111099", None, Subject.STRUCTURE),
        ("SpinalCord_PRV05", "", "111099", None, Subject.STRUCTURE),
        ("CouchSurface", "SUPPORT", "111099", None, Subject.STRUCTURE),
        ("Dose 50[Gy]", "", "111099", None, Subject.STRUCTURE),
        ("Ring_PTV", "", "111099", None, Subject.STRUCTURE),
        ("zOptPTV", "", "111099", None, Subject.STRUCTURE),
        ("Artifact", "", "111099", None, Subject.STRUCTURE),
        ("Bowel_Bag", "", "111099", None, Subject.STRUCTURE),
        ("SpinalCanal", "", "111099", None, Subject.STRUCTURE),
        ("Spinal Cord", "", "2748008", None, Subject.STRUCTURE),
        ("OpticNrv_L", "", "18234004", "Left", Subject.STRUCTURE),
        ("Femur_Head_R", "", "2812003", "Right", Subject.STRUCTURE),
    ],
)
def test_a_name_tells_what_a_region_is(
    name: str, interpreted: str, code: str, side: str | None, subject: Subject
) -> None:
    found = by_name(name, interpreted)
    laterality = found.laterality.meaning if found.laterality else None
    assert (found.type.value, laterality, found.subject, found.label) == (code, side, subject, name)


@pytest.mark.parametrize("scheme", ["SRT", "SNM3", "99SDM"])
def test_a_retired_code_becomes_that_of_snomed_ct(scheme: str) -> None:
    kind, item = Dataset(), Dataset()
    kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning = "T-28000", scheme, "Lung"
    item.SegmentedPropertyTypeCodeSequence = [kind]
    found = by_codes(item).type
    assert (found.value, found.scheme) == ("39607008", "SCT")
    kind.CodeValue = "T-NONE"
    assert by_codes(item).type.value == "52988006"
