"""What a region is, from the codes of its segment or, in a structure set, from its name and its interpreted type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as PublicCode

from dicomnode.domain.code import Code
from dicomnode.domain.model import Segment, Subject
from dicomnode.domain.response import names_target

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


#: The words of a name: targets as they are abbreviated with what is written to them (GTVn), capitals, words.
_WORDS = re.compile(r"[iI]?[GCPI]TV[a-z]*|[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

#: An organ without a target (AAPM TG-263: Lungs-GTV, Brain-PTV): the organ is what is drawn.
_WITHOUT_TARGET = re.compile(r"-(?=[iI]?[GCPI]TV)")

#: What makes of a region another one, which is none of those below: a margin, a ring, a bed after surgery, what only
#: steers the planning (TG-263: names that begin with z), and what is not the patient's.
_MADE = re.compile(
    r"\b(bed|rings?|shell|opti?|prv|z|avoid|avoidance|dose|couch|table|artefacts?|artifacts?"
    r"|exp|expanded|expansion|margins?)\b"
)

#: And a margin in millimetres: GTV+5mm, GTV + 5.
_MARGIN = re.compile(r"\+ ?\d+(?:[.,]\d+)? ?[mc]m\b|[GCPI]TV\w* ?\+ ?\d", re.IGNORECASE)

#: What marks a target (`domain.response.names_target`), and what names the whole patient.
_MARK, _WHOLE = frozenset({"t", "tl", "target", "lesion"}), frozenset({"body", "external", "patient"})

#: Before a lesion's name these say that it is none.
_NO_LESION = re.compile(r"\b(non|no|not|without|minus|ex)\b")

_ORGANS = (
    ("gall ?bladder", "28231008", "Gallbladder"),
    ("brain ?stem", "119238007", "Brain Stem"),
    ("spinal ?cord|cord", "2748008", "Spinal cord"),
    ("(optic ?)?chiasma?", "244453006", "Optic chiasm"),
    ("optic ?n(rv|erve)?s?", "18234004", "Optic nerve"),
    ("(femur|femoral) ?heads?", "2812003", "Femoral head"),
    ("o?esophagus", "32849002", "Esophagus"),
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

#: In one word with what is meant, where a name has no capitals: brainmets, LUNGTUMOR.
_IN_ORGAN = rf"(?:{'|'.join(pattern for pattern, _, _ in _ORGANS)}|bone|adrenal)?"

_Meaning = tuple[Code, Code, Subject]


def _meanings(*rows: tuple[str, Code, Code, Subject]) -> tuple[tuple[re.Pattern[str], _Meaning], ...]:
    return tuple((re.compile(rf"\b(?:{pattern})\b"), (of, kind, what)) for pattern, of, kind, what in rows)


#: The words of a name, sides left out, → what it means; the first that fits. Names of AAPM TG-263 (Lung_L, SpinalCord,
#: GTVn) and what is usual beside them. Targets go before lesions, and these before the organs that they are in.
_TARGETS = _meanings(
    (r"ptv[a-z]*", SPATIAL, _sct("228793007", "Planning target volume"), Subject.STRUCTURE),
    (r"(?:ctv|itv|ictv)[a-z]*", SPATIAL, _sct("228792002", "Clinical target volume"), Subject.STRUCTURE),
)
_LESIONS_BY_NAME = _meanings(
    (r"i?gtv ?(?:n|ln|nd|nodes?|nodal)|(?:n|ln|nodes?|nodal|lymph ?nodes?) i?gtv", TISSUE, NODE, Subject.LYMPH_NODE),
    (r"i?gtv[a-z]*", ABNORMAL, GTV, Subject.LESION),
    (r"lns?|lymph|lymph ?nodes?|lymphadenopathy|nodes?|nodal", TISSUE, NODE, Subject.LYMPH_NODE),
    (rf"{_IN_ORGAN}nodules?", ABNORMAL, _sct("27925004", "Nodule"), Subject.LESION),
    (
        rf"{_IN_ORGAN}(?:mets?|metastas[ei]s|metastatic)",
        ABNORMAL, _sct("14799000", "Neoplasm, Secondary"), Subject.LESION,
    ),
    (rf"{_IN_ORGAN}(?:tumou?rs?|neoplasms?)", ABNORMAL, _sct("108369006", "Neoplasm"), Subject.LESION),
    (rf"{_IN_ORGAN}mass(?:es)?", ABNORMAL, _sct("4147007", "Mass"), Subject.LESION),
    (rf"{_IN_ORGAN}lesions?", ABNORMAL, LESION, Subject.LESION),
)  # fmt: skip
_STRUCTURES = _meanings(
    *((pattern, ANATOMY, _sct(value, meaning), Subject.STRUCTURE) for pattern, value, meaning in _ORGANS)
)
_BODY: _Meaning = (ANATOMY, _sct("38266002", "Entire body"), Subject.STRUCTURE)
_UNKNOWN: _Meaning = (SPATIAL, REGION, Subject.STRUCTURE)

#: RT ROI Interpreted Type (PS3.3 C.8.8.8.1) where the name says nothing.
_INTERPRETED = {
    "GTV": (ABNORMAL, GTV, Subject.LESION),
    "CTV": (SPATIAL, _sct("228792002", "Clinical target volume"), Subject.STRUCTURE),
    "PTV": (SPATIAL, _sct("228793007", "Planning target volume"), Subject.STRUCTURE),
    "EXTERNAL": (ANATOMY, _sct("38266002", "Entire body"), Subject.STRUCTURE),
}


def by_name(name: str, interpreted_type: str = "") -> Segment:
    """What a structure set's region is.

    The name comes first: planning systems write ORGAN for whatever nobody chose a type for. But a region of type GTV
    is a tumour, whatever organ its name tells. What neither tells is no lesion: among what people draw for planning
    are couches, rings and bolus, which would be the largest target lesions of all.
    """
    parts = [part.lower() for part in _WORDS.findall(name)]
    laterality = next((_SIDES[part] for part in (*reversed(parts),) if part in _SIDES), None)
    interpreted = _INTERPRETED.get(interpreted_type.strip().upper())
    organ = _found(_WITHOUT_TARGET.split(name)[0], _STRUCTURES)
    meaning = organ if organ and _WITHOUT_TARGET.search(name) else _by_words(name)
    if meaning is None or (meaning in (organ, _BODY) and interpreted and interpreted[2] is Subject.LESION):
        meaning = interpreted or _UNKNOWN
    if meaning[2] is Subject.STRUCTURE and interpreted is None and _marks_lesion(name):
        meaning = (ABNORMAL, LESION, Subject.LESION)
    category, kind, subject = meaning
    return _segment(name, category, kind, subject, laterality=laterality)


def _by_words(name: str) -> _Meaning | None:
    words = _words(name)
    if _MADE.search(words) or _MARGIN.search(name):
        return _UNKNOWN
    if words in {"body", "external", "skin", "patient"}:
        return _BODY
    lesion = None if _NO_LESION.search(words) else _found(name, _LESIONS_BY_NAME)
    return _found(name, _TARGETS) or lesion or _found(name, _STRUCTURES)


def _marks_lesion(name: str) -> bool:
    """Whether a name marks a target lesion, and no volume of a plan that was made of one."""
    words = _words(name)
    planned = _MADE.search(words) or _MARGIN.search(name) or _found(name, _TARGETS)
    return names_target(name) and not planned and not (_WHOLE & {*words.split()} and {*words.split()} <= _MARK | _WHOLE)


def _found(name: str, meanings: Sequence[tuple[re.Pattern[str], _Meaning]]) -> _Meaning | None:
    words = _words(name)
    return next((meaning for pattern, meaning in meanings if pattern.search(words)), None)


def _words(name: str) -> str:
    return " ".join(part for part in map(str.lower, _WORDS.findall(name)) if part not in _SIDES)


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
    if subject is Subject.STRUCTURE and _marks_lesion(label):
        subject = Subject.LESION  # editors write "Tissue" for whatever nobody chose a type for
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
        current = _retired(value)
        value, scheme = (current, "SCT") if current else (value, scheme)
    if not (value and scheme and meaning) or scheme in {"SRT", "SNM3", "99SDM"}:
        return None
    return Code(value=value[:16], scheme=scheme[:16], meaning=meaning[:_LONGEST])


@cache
def _retired(value: str) -> str:
    """The code of SNOMED CT for one of SNOMED RT, which pydicom takes for equal; "" where it knows none."""
    old = PublicCode(value, "SRT", "")
    known = (getattr(codes.SCT, keyword) for keyword in codes.SCT.dir())
    return next((str(code.value) for code in known if code == old), "")
