"""The trunk of a measurement report: observer, procedure, image library and groups."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom import UID
from highdicom.sr import MeasurementReport, MeasurementsAndQualitativeEvaluations, TrackingIdentifier
from pydicom import Dataset
from pydicom.sr.codedict import codes

from dicomnode.domain.finding import Findings, Provenance
from dicomnode.report.content import SUMMARY, language, observation_context, procedure
from dicomnode.report.groups import Group
from dicomnode.report.identity import guard_study
from dicomnode.report.library import image_library
from dicomnode.report.normalise import normalised


def measurement_report(
    findings: Findings,
    provenance: Provenance,
    header: Dataset,
    groups: Sequence[Group],
    entries: Sequence[Dataset],
    shown: Sequence[int],
    remarks: Dataset,
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
    """
    report = MeasurementReport(
        observation_context=observation_context(provenance),
        procedure_reported=procedure(header),
        # highdicom insists on a group; the container of one that stands in for none is taken out again.
        imaging_measurements=groups or [_nothing()],
        title=codes.DCM.ImagingMeasurementReport if any(map(_has_contour, groups)) else SUMMARY,
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
    children.append(remarks)
    return report


def _has_contour(group: Group) -> bool:
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
    guard_study(datasets)
    return datasets
