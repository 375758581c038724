"""What the conformance statement says of every created object holds of the objects that are created."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom import Dataset
from pydicom.tag import BaseTag

from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.conformance import objects
from dicomnode.report import labelmap, measurements, refusal, rtstruct, segmentation
from dicomnode.report.provenance import MANUFACTURER, MODEL_NAME

Write = Callable[[Findings, Provenance, ResultUids], Dataset]


def not_analysed(findings: Findings, provenance: Provenance, uids: ResultUids) -> Dataset:
    return refusal.write(findings.source.datasets, "too thick", provenance, uids)


def in_words(findings: Findings, provenance: Provenance, uids: ResultUids) -> Dataset:
    return measurements.write(findings, provenance, uids, segmentation.write(findings, provenance, uids))


WRITERS = [segmentation.write, labelmap.write, in_words, rtstruct.write, not_analysed]


@pytest.mark.parametrize("write", WRITERS)
def test_what_is_stated_of_every_created_object_holds(
    write: Write, findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    made = write(findings, provenance, uids)
    for name, tag, vr, value, source in objects.attributes().rows:
        element = made[BaseTag(int(tag[1:5] + tag[6:10], 16))]
        assert (element.name, element.VR) == (name, vr)
        if source == "fixed" and value in (MANUFACTURER, MODEL_NAME, "ISO_IR 192"):
            assert element.value == value
        if source == "derived" and vr == "UI":
            assert str(element.value).startswith("2.25.")


@pytest.mark.parametrize("write", WRITERS)
def test_no_created_object_has_a_private_attribute(
    write: Write, findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    for ds in findings.source.datasets:
        ds.add_new(0x00091010, "LO", "of the scanner")
    made = write(findings, provenance, uids)
    assert [element.tag for element in made.iterall() if element.tag.is_private] == []
