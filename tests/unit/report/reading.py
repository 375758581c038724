"""Reading results back from bytes."""

from __future__ import annotations

from io import BytesIO

from pydicom import Dataset, dcmread

from dicomnode.report.encode import to_bytes


def reread(dataset: Dataset | None) -> Dataset:
    """The object after a round trip through the bytes of its file."""
    assert dataset is not None
    return dcmread(BytesIO(to_bytes(dataset)))


def referenced_instances(dataset: Dataset) -> set[str]:
    """Every SOP Instance UID that the object refers to, at any depth."""
    found: set[str] = set()

    def note(_: Dataset, element: object) -> None:
        if getattr(element, "keyword", "") == "ReferencedSOPInstanceUID":
            found.add(str(element.value))  # type: ignore[attr-defined]

    dataset.walk(note)
    return found


def texts(dataset: Dataset) -> list[str]:
    """The comments of a structured report in order."""
    found: list[str] = []

    def visit(item: Dataset) -> None:
        for child in item.get("ContentSequence") or ():
            if child.ValueType == "TEXT" and child.ConceptNameCodeSequence[0].CodeValue == "121106":
                found.append(str(child.TextValue))
            visit(child)

    visit(dataset)
    return found


def evaluations(dataset: Dataset) -> list[tuple[str, str]]:
    """The coded items of "Qualitative Evaluations" (TID 1500) as pairs of question and answer, in order."""
    (container,) = (item for item in dataset.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "C0034375")
    return [
        (item.ConceptNameCodeSequence[0].CodeValue, item.ConceptCodeSequence[0].CodeValue)
        for item in container.ContentSequence
        if item.ValueType == "CODE"
    ]
