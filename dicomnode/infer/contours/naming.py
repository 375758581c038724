"""What a region is, from the codes of its segment or, in a structure set, from its name and its interpreted type."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydicom import Dataset
from pydicom.sr._snomed_dict import mapping

from dicomnode.domain.code import Code
from dicomnode.domain.model import Segment, Subject

_LONGEST = 64

ANATOMY = Code(value="91723000", scheme="SCT", meaning="Anatomical Structure")
ABNORMAL = Code(value="49755003", scheme="SCT", meaning="Morphologically Abnormal Structure")
TISSUE = Code(value="85756007", scheme="SCT", meaning="Tissue")
SPATIAL = Code(value="309825002", scheme="SCT", meaning="Spatial and Relational Concept")
REGION = Code(value="111099", scheme="DCM", meaning="Selected region")
LESION = Code(value="52988006", scheme="SCT", meaning="Lesion")
NODE = Code(value="59441001", scheme="SCT", meaning="Lymph node")
GTV = Code(value="228791009", scheme="SCT", meaning="Gross tumor volume")

_LEFT = Code(value="7771000", scheme="SCT", meaning="Left")
_RIGHT = Code(value="24028007", scheme="SCT", meaning="Right")
_SIDES = {"l": _LEFT, "lt": _LEFT, "left": _LEFT, "r": _RIGHT, "rt": _RIGHT, "right": _RIGHT}

#: Types of lesions by code (CID 6203, 9534 and 7159), which are measured as a tumour board wants it.
_LESIONS = frozenset(
    {
        ("SCT", "52988006"),
        ("SCT", "4147007"),
        ("SCT", "27925004"),
        ("SCT", "108369006"),
        ("SCT", "372087000"),
        ("SCT", "14799000"),
        ("SCT", "128462008"),
        ("SCT", "86049000"),
        ("SCT", "228791009"),
        ("DCM", "130052"),
        ("NCIt", "C113842"),
        ("NCIt", "C81175"),
    }
)
_NODES = frozenset({("SCT", "59441001"), ("DCM", "130051")})


def _sct(value: str, meaning: str) -> Code:
    return Code(value=value, scheme="SCT", meaning=meaning)


#: Name of a region without what is no letter → category, type and subject; the first that fits. Names of AAPM TG-263
#: (Lung_L, SpinalCord, GTVn) and what is usual beside them.
_NAMES: tuple[tuple[re.Pattern[str], Code, Code, Subject], ...] = tuple(
    (re.compile(pattern), category, kind, subject)
    for pattern, category, kind, subject in (
        (r"^(ptv)", SPATIAL, _sct("228793007", "Planning target volume"), Subject.STRUCTURE),
        (r"^(ctv|itv)", SPATIAL, _sct("228792002", "Clinical target volume"), Subject.STRUCTURE),
        (r"^i?gtv(n|ln|nd|node|nodal)", TISSUE, NODE, Subject.LYMPH_NODE),
        (r"^i?gtv", ABNORMAL, GTV, Subject.LESION),
        (r"^ln|lymph|^nodes?$|^nodal", TISSUE, NODE, Subject.LYMPH_NODE),
        (r"nodule", ABNORMAL, _sct("27925004", "Nodule"), Subject.LESION),
        (r"metast|^mets?$", ABNORMAL, _sct("14799000", "Neoplasm, Secondary"), Subject.LESION),
        (r"tumou?r|neoplasm", ABNORMAL, _sct("108369006", "Neoplasm"), Subject.LESION),
        (r"^mass|mass$", ABNORMAL, _sct("4147007", "Mass"), Subject.LESION),
        (r"lesion", ABNORMAL, LESION, Subject.LESION),
        (r"^(body|external|skin|patient)$", ANATOMY, _sct("38266002", "Entire body"), Subject.STRUCTURE),
        (r"brainstem", ANATOMY, _sct("119238007", "Brain Stem"), Subject.STRUCTURE),
        (r"spinalcord|^cord", ANATOMY, _sct("2748008", "Spinal cord"), Subject.STRUCTURE),
        (r"opticchiasm|^chiasm", ANATOMY, _sct("244453006", "Optic chiasm"), Subject.STRUCTURE),
        (r"opticn", ANATOMY, _sct("18234004", "Optic nerve"), Subject.STRUCTURE),
        (r"femurhead|femoralhead", ANATOMY, _sct("2812003", "Femoral head"), Subject.STRUCTURE),
        (r"oesophagus|esophagus", ANATOMY, _sct("32849002", "Esophagus"), Subject.STRUCTURE),
        *(
            (rf"^{name}|{name}$", ANATOMY, _sct(value, meaning), Subject.STRUCTURE)
            for name, value, meaning in (
                ("lungs?", "39607008", "Lung"),
                ("heart", "80891009", "Heart"),
                ("trachea", "44567001", "Trachea"),
                ("aorta", "15825003", "Aorta"),
                ("liver", "10200004", "Liver"),
                ("kidneys?", "64033007", "Kidney"),
                ("spleen", "78961009", "Spleen"),
                ("pancreas", "15776009", "Pancreas"),
                ("stomach", "69695003", "Stomach"),
                ("duodenum", "38848004", "Duodenum"),
                ("colon", "71854001", "Colon"),
                ("bladder", "89837001", "Bladder"),
                ("rectum", "34402009", "Rectum"),
                ("prostate", "41216001", "Prostate"),
                ("uterus", "35039007", "Uterus"),
                ("breasts?", "76752008", "Breast"),
                ("brain", "12738006", "Brain"),
                ("parotids?", "45289007", "Parotid gland"),
                ("mandible", "91609006", "Mandible"),
                ("larynx", "4596009", "Larynx"),
                ("lens", "78076003", "Lens"),
                ("eyes?", "81745001", "Eye"),
            )
        ),
    )
)

#: RT ROI Interpreted Type (PS3.3 C.8.8.8.1) where the name says nothing.
_INTERPRETED = {
    "GTV": (ABNORMAL, GTV, Subject.LESION),
    "CTV": (SPATIAL, _sct("228792002", "Clinical target volume"), Subject.STRUCTURE),
    "PTV": (SPATIAL, _sct("228793007", "Planning target volume"), Subject.STRUCTURE),
    "EXTERNAL": (ANATOMY, _sct("38266002", "Entire body"), Subject.STRUCTURE),
}


def by_name(name: str, interpreted_type: str = "") -> Segment:
    """What a structure set's region is; what neither tells is a lesion of unknown kind under the name that it has.

    The name comes first: planning systems write ORGAN for whatever nobody chose a type for.
    """
    parts = [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    laterality = next((_SIDES[part] for part in (*reversed(parts),) if part in _SIDES), None)
    plain = "".join(part for part in parts if part not in _SIDES)
    found = next(((of, kind, what) for pattern, of, kind, what in _NAMES if pattern.search(plain)), None)
    category, kind, subject = (
        found or _INTERPRETED.get(interpreted_type.strip().upper()) or (ABNORMAL, LESION, Subject.LESION)
    )
    if found is None and interpreted_type.strip().upper() in {"ORGAN", "CAVITY", "AVOIDANCE", "TREATED_VOLUME"}:
        category, kind, subject = SPATIAL, REGION, Subject.STRUCTURE
    return _segment(name, category, kind, subject, laterality=laterality)


def by_codes(item: Dataset) -> Segment:
    """What an item of the Segment Sequence says that it is (PS3.3 C.8.20.2.3)."""
    category = _code(item.get("SegmentedPropertyCategoryCodeSequence")) or ABNORMAL
    kinds = item.get("SegmentedPropertyTypeCodeSequence") or ()
    kind = _code(kinds) or LESION
    modifiers = kinds[0].get("SegmentedPropertyTypeModifierCodeSequence") if kinds else ()
    regions = item.get("AnatomicRegionSequence") or ()
    region = _code(regions)
    side = _code(modifiers) or _code(regions[0].get("AnatomicRegionModifierSequence") if regions else ())
    subject = Subject.STRUCTURE
    if (kind.scheme, kind.value) in _NODES:
        subject = Subject.LYMPH_NODE
    elif (kind.scheme, kind.value) in _LESIONS or category.value == ABNORMAL.value:
        subject = Subject.LESION
    label = str(item.get("SegmentLabel") or "").strip() or kind.meaning
    return _segment(label, category, kind, subject, laterality=side, region=region)


def _segment(
    label: str,
    category: Code,
    kind: Code,
    subject: Subject,
    *,
    laterality: Code | None = None,
    region: Code | None = None,
) -> Segment:
    return Segment(
        number=1,
        label=label.strip()[:_LONGEST] or kind.meaning,
        category=category,
        type=kind,
        laterality=laterality,
        anatomic_region=region,
        subject=subject,
    )


def _code(items: Sequence[Dataset] | None) -> Code | None:
    """The first code of a sequence, a retired one of SNOMED RT as that of SNOMED CT (PS3.16 section 8)."""
    if not items:
        return None
    value, scheme, meaning = (
        str(items[0].get(key) or "").strip() for key in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
    )
    if scheme in {"SRT", "SNM3", "99SDM"}:
        current = mapping["SRT"].get(value)
        value, scheme = (current, "SCT") if current else (value, scheme)
    if not (value and scheme and meaning) or scheme in {"SRT", "SNM3", "99SDM"}:
        return None
    return Code(value=value[:16], scheme=scheme[:16], meaning=meaning[:_LONGEST])
