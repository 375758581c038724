"""Reads a written report back from its bytes and holds it against its source and against what was measured."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BytesIO

from pydicom import Dataset, dcmread
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Measurement
from dicomnode.report.answers import WHOLE_SERIES
from dicomnode.report.boundary import encoding
from dicomnode.report.drawn_check import check_identity
from dicomnode.report.extent import segment_numbers

#: A decimal string of 16 characters (PS3.5 6.2) holds 10 digits beside a sign, a point and an exponent.
_DECIMAL_STRING = 1e-9

_CLASS, _INSTANCE = Tag("SOPClassUID"), Tag("SOPInstanceUID")
_CONTENT, _VALUES, _REFERENCES, _NAMED = (
    Tag(keyword)
    for keyword in ("ContentSequence", "MeasuredValueSequence", "ReferencedSOPSequence", "ReferencedSOPInstanceUID")
)

#: By what a number is told: codes of quantity and unit, and the value.
_Number = tuple[str, str, float]


def verify(encoded: bytes, datasets: Sequence[Dataset], findings: Findings | None = None) -> None:
    """See that a report is of the right patient and study, refers to its evidence alone, and holds every number.

    Parameters
    ----------
    encoded
        The complete file.
    datasets
        Headers of the source.
    findings
        What was measured; None for reports without measurements of segments.

    Raises
    ------
    EncodingError
        For another patient or study, a reference to what the evidence does not name, a measurement that is missing or
        whose decimal string says another number, and for a file that cannot be read.
    """
    with encoding("report read back"):
        written = dcmread(BytesIO(encoded))
        items = list(_items(written))
        listed = _listed(written)
        named = {str(one[_NAMED].value) for item in items for one in _sequence(item, _REFERENCES)}
        found = Counter(number for item in items for number in _numbers(item))
    check_identity("report", written, datasets)
    if named - listed:
        raise EncodingError(f"report: found references to {sorted(named - listed)}, needed those of the evidence alone")
    for one in _needed(findings) if findings else ():
        number = (one.name.value, one.unit.value, float(one.value))
        if not found[number]:
            raise EncodingError(f"report: found no {one.name.meaning} of segment {one.segment_number}, needed the one "
                                f"that was measured")  # fmt: skip
        found[number] -= 1


def verify_recast(encoded: bytes, original: bytes, recast: Dataset) -> None:
    """See that a report says, byte for byte, what another does that was verified, as the class and instance that it is.

    Parameters
    ----------
    encoded, original
        The complete files of both.
    recast
        The object that was encoded.

    Raises
    ------
    EncodingError
        If they differ in anything else, and for a file that cannot be read.
    """
    with encoding("report read back"):
        (found, rest), (needed, same) = _split(encoded), _split(original)
        named = (found.pop(_CLASS).value, found.pop(_INSTANCE).value)
        del needed[_CLASS], needed[_INSTANCE]
    if named != (recast.SOPClassUID, recast.SOPInstanceUID):
        raise EncodingError(f"report: found {named}, needed {recast.SOPClassUID} {recast.SOPInstanceUID}")
    if found != needed or rest != same:
        raise EncodingError(
            f"report: found another content in {recast.SOPInstanceUID} than in the report it stands for"
        )


def _split(encoded: bytes) -> tuple[Dataset, bytes]:
    """Elements up to the SOP Instance UID, and the bytes of all others."""
    file = BytesIO(encoded)
    head = read_partial(file, stop_when=lambda tag, vr, length: tag > _INSTANCE)
    return Dataset({element.tag: element for element in head}), encoded[file.tell() :]


def _needed(findings: Findings) -> list[Measurement]:
    shown = {WHOLE_SERIES, *segment_numbers(findings)}
    return [one for one in findings.measurements if one.segment_number in shown and math.isfinite(one.value)]


def _items(item: Dataset) -> Iterator[Dataset]:
    for child in _sequence(item, _CONTENT):
        yield child
        yield from _items(child)


def _sequence(item: Dataset, tag: BaseTag) -> Sequence[Dataset]:
    """By tag, since keywords would be looked up anew in thousands of items."""
    return item[tag].value if tag in item else ()


def _listed(written: Dataset) -> set[str]:
    """What the evidence names (PS3.3 C.17.2.3), of this study and of others."""
    studies = [
        *(written.get("CurrentRequestedProcedureEvidenceSequence") or ()),
        *(written.get("PertinentOtherEvidenceSequence") or ()),
    ]
    return {
        str(one[_NAMED].value)
        for study in studies
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }


def _numbers(item: Dataset) -> Iterator[_Number]:
    """Values of a numeric item, in full precision where that is given beside the decimal string (PS3.3 C.18.1)."""
    for value in _sequence(item, _VALUES):
        told = float(value.NumericValue)
        exact = float(value.get("FloatingPointValue", told))
        if not math.isclose(told, exact, rel_tol=_DECIMAL_STRING):
            raise ValueError(f"a decimal string says {told}, the floating point value beside it {exact}")
        (name,), (unit,) = item.ConceptNameCodeSequence, value.MeasurementUnitsCodeSequence
        yield str(name.CodeValue), str(unit.CodeValue), exact
