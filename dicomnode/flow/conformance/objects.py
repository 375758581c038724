"""What the node creates: SOP classes, information objects, templates, and the codes that it writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from pydicom.datadict import dictionary_description, dictionary_VR, tag_for_keyword

from dicomnode.deliver.offers import OFFERS
from dicomnode.flow.conformance.form import Table
from dicomnode.measure import codes, ibsi
from dicomnode.receive.contexts import name_of
from dicomnode.report import contributions, response
from dicomnode.report.provenance import MANUFACTURER, MODEL_NAME, ROLES

#: Role of a result → the information object definition of PS3.3 that it is, and its template in PS3.16.
DEFINED_BY: Mapping[str, tuple[str, str]] = {
    "seg": ("Segmentation (A.51), segmentation type BINARY", ""),
    "labelmap": ("Label Map Segmentation", ""),
    "sr": ("Comprehensive 3D SR (A.35.13), Comprehensive SR (A.35.3), Enhanced SR (A.35.2)", "TID 1500"),
    "radiomics": ("Comprehensive 3D SR (A.35.13), or the older two", "TID 1500"),
    "refusal": ("Enhanced SR (A.35.2)", ""),
    "rtstruct": ("RT Structure Set (A.19)", ""),
    "map": ("Parametric Map (A.75)", ""),
    "picture": ("Secondary Capture Image (A.8.1)", ""),
    "pdf": ("Encapsulated PDF (A.45.1)", ""),
    "notice": ("Secondary Capture Image (A.8.1)", ""),
    "withdrawn": ("Enhanced SR (A.35.2)", ""),
    "rejection": ("Key Object Selection Document (A.35.4)", "TID 2010"),
}

#: Keyword → value and source, of what every created object holds alike.
_EVERYWHERE: Mapping[str, tuple[str, str]] = {
    "SpecificCharacterSet": ("ISO_IR 192", "fixed"),
    "SOPInstanceUID": ("2.25 and a UUID derived from images, rule, model and run", "derived"),
    "SeriesInstanceUID": ("the same, with the role", "derived"),
    "StudyInstanceUID": ("that of the images", "copied"),
    "PatientName": ("with ID, birth date, sex and the study: those of the images", "copied"),
    "SeriesNumber": ("9000 + 10 n + offset, n from the name of the rule", "derived"),
    "SeriesDescription": ("what it is, title and version of the model", "derived"),
    "SeriesDate": ("with times of content and creation, where there are such: when the analysis began", "clock"),
    "Manufacturer": (MANUFACTURER, "fixed"),
    "ManufacturerModelName": (MODEL_NAME, "fixed"),
    "SoftwareVersions": ("version of the node; name and version of the model", "fixed"),
    "DeviceSerialNumber": ("AE title of the node", "configuration"),
    "StationName": ("AE title of the node", "configuration"),
    "ContributingEquipmentSequence": ("the model, with a Device UID of its weights; the scanner", "derived"),
}

#: Templates of PS3.16 that reports use, with the names that they have there.
TEMPLATES: Mapping[int, str] = {
    300: "Measurement",
    320: "Image or Spatial Coordinates",
    1001: "Observation Context",
    1004: "Device Observer Identifying Attributes",
    1204: "Language of Content Item and Descendants",
    1410: "Planar ROI Measurements and Qualitative Evaluations",
    1411: "Volumetric ROI Measurements and Qualitative Evaluations",
    1419: "ROI Measurements",
    1500: "Measurement Report",
    1501: "Measurement and Qualitative Evaluation Group",
    1502: "Time Point Context",
    1600: "Image Library",
    2010: "Key Object Selection",
    4019: "Algorithm Identification",
}


def created() -> Table:
    """Every kind of result by the role that its series has."""
    rows = tuple(
        (f"`{role}`", f"{one.title} …", str(one.offset), *(text or "none" for text in DEFINED_BY[role]))
        for role, one in ROLES.items()
    )
    columns = ("role", "series description", "offset of the series number", "information object", "root template")
    return Table(title="Created objects", columns=columns, rows=rows)


def attributes() -> Table:
    """What every created object holds alike."""
    rows = tuple(
        (dictionary_description(keyword), _tag(keyword), dictionary_VR(keyword), value, source)
        for keyword, (value, source) in _EVERYWHERE.items()
    )
    columns = ("attribute", "tag", "VR", "value", "source")
    return Table(title="Attributes of every created object", columns=columns, rows=rows)


def _tag(keyword: str) -> str:
    tag = tag_for_keyword(keyword) or 0
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def offered() -> Table:
    """The SOP classes that a destination is asked about, by the name that `outputs` has for them."""
    rows = tuple(
        (f"`{kind}`", name_of(uid), uid, ", ".join(name_of(one) for one in syntaxes))
        for kind, classes in OFFERS.items() for uid, syntaxes in classes.items()
    )  # fmt: skip
    return Table(title="SOP classes of results", columns=("output", "SOP class", "UID", "transfer syntaxes"), rows=rows)


def templates() -> Table:
    """Templates of structured reports."""
    rows = tuple((f"TID {number}", name) for number, name in sorted(TEMPLATES.items()))
    return Table(title="Templates of structured reports (PS3.16)", columns=("template", "name"), rows=rows)


def written_codes() -> Table:
    """Codes of quantities, units, methods and answers, IBSI's features left to the next table."""
    found = {one for module in (codes, response, contributions) for one in _codes(module)}
    rows = tuple(sorted((scheme, value, meaning) for scheme, value, meaning in found if scheme != "IBSI"))
    return Table(title="Coded concepts", columns=("scheme", "value", "meaning"), rows=rows)


def features() -> Table:
    """Features of radiomics that have a code of IBSI."""
    rows = tuple(sorted((f"`{name}`", value, meaning) for name, (value, meaning, _) in ibsi.FEATURES.items()))
    return Table(title="Features with a code of IBSI", columns=("pyradiomics", "IBSI", "meaning"), rows=rows)


def _codes(module: ModuleType) -> Iterator[tuple[str, str, str]]:
    for name, value in vars(module).items():
        if not name.startswith("__"):
            yield from _inside(value)


def _inside(value: Any) -> Iterator[tuple[str, str, str]]:
    """Codes of this node and of highdicom, also in tuples and tables."""
    if isinstance(value, tuple | list | set | frozenset):
        for one in value:
            yield from _inside(one)
    elif isinstance(value, dict):
        for one in (*value, *value.values()):
            yield from _inside(one)
    elif hasattr(value, "meaning") and hasattr(value, "value"):
        scheme = getattr(value, "scheme", None) or getattr(value, "scheme_designator", None)
        if isinstance(scheme, str) and isinstance(value.value, str):
            yield scheme, value.value, str(value.meaning)
