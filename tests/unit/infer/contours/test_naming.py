"""Names that people give to regions become codes."""

from __future__ import annotations

import pytest

from dicomnode.domain.model import Subject
from dicomnode.infer.contours.naming import by_name


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
        ("xyz", "", "52988006", None, Subject.LESION),
        ("7", "", "52988006", None, Subject.LESION),
    ],
)
def test_a_name_tells_what_a_region_is(
    name: str, interpreted: str, code: str, side: str | None, subject: Subject
) -> None:
    found = by_name(name, interpreted)
    laterality = found.laterality.meaning if found.laterality else None
    assert (found.type.value, laterality, found.subject, found.label) == (code, side, subject, name)
