"""A report that says something else than was measured is caught before it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report import measurements, refusal, report_check, segmentation
from dicomnode.report.encode import to_bytes


def _items(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        yield child
        yield from _items(child)


def _first_value(ds: Dataset) -> Dataset:
    """That of a group; the image library has numbers, too."""
    groups = (item for item in _items(ds) if item.ConceptNameCodeSequence[0].CodeValue == "125007")
    value: Dataset = next(item for item in _items(next(groups)) if item.ValueType == "NUM").MeasuredValueSequence[0]
    return value


def _number(ds: Dataset) -> None:
    _first_value(ds).NumericValue, _first_value(ds).FloatingPointValue = 77, 77.0


def _decimal_string(ds: Dataset) -> None:
    _first_value(ds).NumericValue = 77


def _unit(ds: Dataset) -> None:
    _first_value(ds).MeasurementUnitsCodeSequence[0].CodeValue = "l"


def _patient(ds: Dataset) -> None:
    ds.PatientID = "ANOTHER"


def _evidence(ds: Dataset) -> None:
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    study.ReferencedSeriesSequence = [study.ReferencedSeriesSequence[0]]


@pytest.mark.parametrize("change", [_number, _decimal_string, _unit, _patient, _evidence])
def test_the_self_check_of_a_report_finds_what_differs(
    findings: Findings, provenance: Provenance, uids: ResultUids, change: Callable[[Dataset], None]
) -> None:
    mask = segmentation.write(findings, provenance, uids)
    data = to_bytes(measurements.write(findings, provenance, uids, mask))
    report_check.verify(data, findings.source.datasets, findings)
    ds = dcmread(BytesIO(data))
    change(ds)
    with pytest.raises(EncodingError, match="report") as caught:
        report_check.verify(to_bytes(ds), findings.source.datasets, findings)
    assert "ANOTHER" not in str(caught.value)


def test_what_stands_in_place_of_a_result_is_read_back_too(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = refusal.write(findings.source.datasets, "late", provenance, uids)
    report_check.verify(to_bytes(ds), findings.source.datasets)
    ds.StudyInstanceUID = "2.25.9"
    with pytest.raises(EncodingError, match="another StudyInstanceUID"):
        report_check.verify(to_bytes(ds), findings.source.datasets)


def _recast(ds: Dataset) -> Dataset:
    ds = deepcopy(ds)
    ds.SOPClassUID, ds.SOPInstanceUID = ComprehensiveSRStorage, "1.2.3"
    return ds


def _created(ds: Dataset) -> None:
    ds.InstanceCreationTime = "000000"


def _not_recast(ds: Dataset) -> None:
    ds.SOPClassUID = Comprehensive3DSRStorage


def _other_instance(ds: Dataset) -> None:
    ds.SOPInstanceUID = "1.2.34"


@pytest.mark.parametrize("change", [_number, _patient, _evidence, _created, _not_recast, _other_instance])
def test_a_report_of_an_older_class_that_says_something_else_is_found(
    findings: Findings, provenance: Provenance, uids: ResultUids, change: Callable[[Dataset], None]
) -> None:
    original = measurements.write(findings, provenance, uids, segmentation.write(findings, provenance, uids))
    older = _recast(original)
    report_check.verify_recast(to_bytes(older), to_bytes(original), older)
    changed = deepcopy(older)
    change(changed)
    with pytest.raises(EncodingError, match=r"report: found"):
        report_check.verify_recast(to_bytes(changed), to_bytes(original), older)


def test_a_recast_report_that_was_cut_short_is_found(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    original = measurements.write(findings, provenance, uids, None)
    older = _recast(original)
    with pytest.raises(EncodingError, match="another content"):
        report_check.verify_recast(to_bytes(older)[:-2], to_bytes(original), older)
