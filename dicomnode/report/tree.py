"""The trunk of a measurement report: observer, procedure, image library and groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from highdicom import UID
from highdicom.sr import (
    CodedConcept,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    RelationshipTypeValues,
    TrackingIdentifier,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes

from dicomnode.domain.finding import Findings, Provenance
from dicomnode.report.company import company
from dicomnode.report.content import SUMMARY, language, observation_context, procedure
from dicomnode.report.groups import Group
from dicomnode.report.identity import guard_study
from dicomnode.report.library import image_library
from dicomnode.report.normalise import normalised

_DERIVED = CodedConcept("126011", "DCM", "Derived Imaging Measurements")


def measurement_report(
    findings: Findings,
    provenance: Provenance,
    header: Dataset,
    groups: Sequence[Group],
    entries: Sequence[Dataset],
    shown: Sequence[int],
    remarks: Dataset,
    others: Sequence[Dataset] = (),
    *,
    derived: Sequence[Group] = (),
    cited: Sequence[ContentItem] = (),
) -> MeasurementReport:
    """TID 1500, titled "Imaging Measurement Report" where groups have contours, else by a title that is shown as text.

    OHIF 3.12 and 3.13 draw contours for that one title only, and show a black viewport where it has none to draw.

    Parameters
    ----------
    header
        A normalised header of the source.
    entries, shown
        Normalised headers and indices of the planes for the image library; of every companion series its middle
        plane is added.
    groups
        May be none; then the remarks stand alone (TID 1500 asks for one of both).
    remarks
        The container "Qualitative Evaluations".
    others
        Objects that belong to the report.
    derived, cited
        What rests on measurements of several regions or times, and references to the sources of the latter: "Derived
        Imaging Measurements" of TID 1500. Beside contours, groups without coordinates stand there too, since OHIF 3.13
        shows none of the "Imaging Measurements" if one of them has no coordinates.
    """
    drawn = any(map(has_contour, groups))
    if drawn:
        groups, rest = _by_contour(groups)
        derived = (*derived, *rest)
    report = MeasurementReport(
        observation_context=observation_context(provenance),
        procedure_reported=procedure(header),
        # highdicom insists on a group; the container of one that stands in for none is taken out again.
        imaging_measurements=groups or [_nothing()],
        title=codes.DCM.ImagingMeasurementReport if drawn else SUMMARY,
        language_of_content_item_and_descendants=language(),
    )
    source = findings.source
    library = image_library(entries, [source.planes[index] for index in shown])
    for companion in findings.companions:
        middle = len(companion.planes) // 2
        more = image_library(normalised(companion, (middle,)), [companion.planes[middle]])
        library[0].ContentSequence.extend(more[0].ContentSequence)
    children = report[0].ContentSequence
    # TID 1500 has the library in front of the measurements (rows 5 and 6).
    children.insert(len(children) - 1, library[0])
    if not groups:
        del children[-1]
    if derived or cited:
        children.append(_container(_DERIVED, [*(item for group in derived for item in group), *cited]))
    children.append(remarks)
    if others:
        children.append(company(others))
    return report


def _by_contour(groups: Sequence[Group]) -> tuple[list[Group], list[Group]]:
    """Groups of which viewers find coordinates, be it in another group of the same tracking UID, and the others."""
    drawn = {_tracking_uid(group) for group in groups if has_contour(group)}
    found: tuple[list[Group], list[Group]] = ([], [])
    for group in groups:
        found[_tracking_uid(group) not in drawn].append(group)
    return found


def _tracking_uid(group: Group) -> str:
    """The first UID of a group; highdicom's own search of the whole group takes 20 ms."""
    return next(str(item.UID) for item in group[0].ContentSequence if item.ValueType == "UIDREF")


def _container(name: CodedConcept, items: Sequence[Any]) -> ContainerContentItem:
    container = ContainerContentItem(
        name=name, is_content_continuous=False, relationship_type=RelationshipTypeValues.CONTAINS
    )
    container.ContentSequence = ContentSequence(items)
    return container


def has_contour(group: Group) -> bool:
    """Whether a value of the group, or the group itself, has coordinates."""

    def look(item: Dataset) -> bool:
        return item.get("ValueType") == "SCOORD" or any(map(look, item.get("ContentSequence") or ()))

    return any(map(look, group))


def _nothing() -> Group:
    tracking = TrackingIdentifier(uid=UID("2.25.0"), identifier="none")
    return MeasurementsAndQualitativeEvaluations(tracking_identifier=tracking)


def sources_of(findings: Findings) -> tuple[Dataset, ...]:
    """Headers of all objects that were analysed, the main series first.

    Raises
    ------
    EncodingError
        If they are of several patients or studies.
    """
    datasets = tuple(ds for source in (findings.source, *findings.companions) for ds in source.datasets)
    if findings.companions:
        # The main series alone is guarded where it is normalised.
        guard_study(datasets)
    return datasets
