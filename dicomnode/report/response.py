"""The comparison with earlier studies as content of a structured report: sums, categories, changes, earlier numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from highdicom.sr import (
    CodedConcept,
    CompositeContentItem,
    ContentItem,
    DateContentItem,
    ImageContentItem,
    MeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    TimePointContext,
    TrackingIdentifier,
    UIDRefContentItem,
)
from highdicom.sr import Measurement as MeasurementItem
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as DictionaryCode

from dicomnode.domain.code import Code
from dicomnode.domain.response import (
    Assessment,
    Change,
    Comparison,
    Lesion,
    Reference,
    Standing,
    TimePoint,
    sums_uid,
)
from dicomnode.domain.uid import ResultUids
from dicomnode.report.code import coded
from dicomnode.report.compared import CRITERIA
from dicomnode.report.provenance import shortened

_PRIVATE = "99DICOMNODE"

#: What the response was judged by (CID 6147); thresholds of volume have no code.
METHODS = {
    "recist": Code(value="126081", scheme="DCM", meaning="RECIST 1.1"),
    "who": Code(value="112029", scheme="DCM", meaning="WHO"),
    "rano": Code(value="C114879", scheme="NCIt", meaning="RANO"),
    "volume": Code(value="VOLUME-RESPONSE", scheme=_PRIVATE, meaning="Thresholds of volume"),
}

#: Codes of the sums; a Code Value has 16 characters at most (PS3.3 section 8.1).
_SUMS = {"recist": "SUM-DIAM", "who": "SUM-PROD", "rano": "SUM-PROD", "volume": "SUM-VOL"}

#: Study dates of the sums that a later report needs where those studies are not at hand.
DAY_OF_BASELINE = ("DAY-BASE", _PRIVATE, "Study date of the baseline")
DAY_OF_NADIR = ("DAY-NADIR", _PRIVATE, "Study date of the lowest sum")

_RESPONSE = CodedConcept("112020", "DCM", "Response Evaluation")
_CATEGORY_AT_BASELINE = CodedConcept("112016", "DCM", "Baseline Category")
_TARGET = CodedConcept("112074", "DCM", "Target Lesion at Baseline")
_BASELINE = CodedConcept("C1442488", "UMLS", "Baseline")
_STANDING = CodedConcept("STANDING", _PRIVATE, "Lesion in comparison with earlier studies")
_STANDINGS = {
    Standing.MATCHED: CodedConcept("FOUND-AGAIN", _PRIVATE, "Found again"),
    Standing.NOT_DETECTED: CodedConcept("NOT-DETECTED", _PRIVATE, "Not detected by the algorithm"),
    Standing.NOT_IMAGED: CodedConcept("NOT-IMAGED", _PRIVATE, "Not covered by the images"),
    Standing.CANDIDATE_NEW: CodedConcept("CANDIDATE-NEW", _PRIVATE, "Candidate new lesion"),
}

_MILLIMETER = CodedConcept("mm", "UCUM", "millimeter")
_SQUARE_MILLIMETER = CodedConcept("mm2", "UCUM", "square millimeter")
_CUBIC_CENTIMETER = CodedConcept("cm3", "UCUM", "cubic centimeter")
#: Quantity of a lesion → its concept and unit, and what the code of its change ends with.
_QUANTITIES = {
    "longest_mm": (CodedConcept("103339001", "SCT", "Long axis"), _MILLIMETER, "LONG"),
    "short_mm": (CodedConcept("103340004", "SCT", "Short axis"), _MILLIMETER, "SHORT"),
    "volume_ml": (CodedConcept("118565006", "SCT", "Volume"), _CUBIC_CENTIMETER, "VOLUME"),
    "product_mm2": (CodedConcept("PRODUCT", _PRIVATE, "Bidimensional product"), _SQUARE_MILLIMETER, "PRODUCT"),
}

_GROWTH = CodedConcept("GROWTH-RATE", _PRIVATE, "Specific growth rate of the volume")
_DOUBLING = CodedConcept("DOUBLING-TIME", _PRIVATE, "Doubling time of the volume")
_PER_DAY = CodedConcept("%/d", "UCUM", "percent per day")
_DAY = CodedConcept("d", "UCUM", "day")

#: Purposes of reference (CID 7003 and its like): an earlier report, and what its numbers were measured on.
_PRIOR_REPORT = CodedConcept("122075", "DCM", "Prior report for current patient")
_SOURCE = CodedConcept("121112", "DCM", "Source of Measurement")
_STUDY = CodedConcept("110180", "DCM", "Study Instance UID")
_REPORTS, _MASKS = "1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.66."
_STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"


def time_point_of(comparison: Comparison | None) -> TimePointContext | None:
    """The present time point (TID 1502), told by its date; None where nothing is compared."""
    if comparison is None or not comparison.priors:
        return None
    # Without its order: OHIF 3.13 takes every number of a group for a measurement, and this one for the first.
    return TimePointContext(time_point=f"{comparison.now.day:%Y-%m-%d}")


def change_items(comparison: Comparison | None, tracking_uid: str) -> list[MeasurementItem]:
    """How one lesion changed against the last time that it was measured, in percent, and how fast."""
    change = _change_of(comparison, tracking_uid)
    if change is None:
        return []
    items = []
    for quantity, (concept, _, value) in _QUANTITIES.items():
        if quantity in change.percent:
            name = CodedConcept(f"CHANGE-{value}", _PRIVATE, f"{concept.meaning}, change since the earlier study")
            items.append(_number(name, change.percent[quantity], codes.UCUM.Percent))
    if change.growth_percent_per_day is not None:
        items.append(_number(_GROWTH, change.growth_percent_per_day, _PER_DAY))
    if change.doubling_days is not None:
        items.append(_number(_DOUBLING, change.doubling_days, _DAY))
    return items


def evaluations_of(comparison: Comparison | None, tracking_uid: str) -> list[QualitativeEvaluation]:
    """Whether a lesion is a target (CID 6145), and whether it was found again."""
    if comparison is None:
        return []
    found = []
    if any(lesion.target and lesion.tracking_uid == tracking_uid for lesion in comparison.now.lesions):
        found.append(QualitativeEvaluation(name=_CATEGORY_AT_BASELINE, value=_TARGET))
    change = _change_of(comparison, tracking_uid)
    if change is not None:
        found.append(QualitativeEvaluation(name=_STANDING, value=_STANDINGS[change.standing]))
    return found


def comparison_groups(comparison: Comparison | None, uids: ResultUids) -> list[MeasurementsAndQualitativeEvaluations]:
    """Groups (TID 1501) of the sums with the response of the target lesions, and of every earlier number.

    A lesion of earlier that the present study lacks says in its last group what became of it.
    """
    if comparison is None:
        return []
    groups = [_assessed(one, uids, order) for order, one in enumerate(comparison.assessments)]
    gone = {change.before.tracking_uid: change for change in comparison.changes if change.before and not change.now}
    for order in range(len(comparison.priors), 0, -1):
        point = comparison.priors[order - 1]
        context = _context(point, order)
        for lesion in point.lesions:
            # Once only, in the group of the last time that it was seen.
            groups.append(_earlier(lesion, context, gone.pop(lesion.tracking_uid, None)))
    return groups


def prior_items(comparison: Comparison | None) -> list[ContentItem]:
    """The earlier studies and, of what their numbers come from, reports, masks and structure sets."""
    return [item for point in (comparison.priors if comparison else ()) for item in _cited(point)]


def prior_evidence(comparison: Comparison | None) -> list[Dataset]:
    """Everything of earlier studies that the comparison rests on, as Pertinent Other Evidence (PS3.3 C.17.2.3)."""
    return [_dataset(one) for point in (comparison.priors if comparison else ()) for one in point.references]


def sum_codes(criterion: str) -> tuple[str, str, str]:
    """Code Values of the sum at baseline, at the nadir, and of the smallest one where studies are missing."""
    code = _SUMS.get(criterion, "SUM")
    return f"{code}-BASE", f"{code}-NADIR", f"{code}-LEAST"


def _assessed(one: Assessment, uids: ResultUids, order: int) -> MeasurementsAndQualitativeEvaluations:
    title, summed = CRITERIA.get(one.criterion, (one.criterion, "sum"))
    code, summed = _SUMS.get(one.criterion, "SUM"), summed.capitalize()
    base, nadir, least = sum_codes(one.criterion)
    lowest = (nadir, "at nadir") if one.every_study else (least, "at the lowest of the studies at hand")
    sums = (
        (CodedConcept(code, _PRIVATE, summed), one.now),
        (CodedConcept(base, _PRIVATE, f"{summed} at baseline"), one.baseline),
        (CodedConcept(lowest[0], _PRIVATE, f"{summed} {lowest[1]}"), one.nadir),
    )
    items = [_number(name, value, coded(one.unit)) for name, value in sums if value is not None]
    for since, percent in (("baseline", one.percent_from_baseline), ("nadir", one.percent_from_nadir)):
        if percent is not None:
            name = CodedConcept(f"CHANGE-{since.upper()}", _PRIVATE, f"Change of the sum from {since}")
            items.append(_number(name, percent, codes.UCUM.Percent))
    category = [QualitativeEvaluation(name=_RESPONSE, value=coded(one.category))] if one.category else []
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=sums_uid(one.criterion, one.targets) if one.targets else uids.tracking(_UNTRACKED - order),
            identifier=shortened(f"{'All' if one.criterion == 'volume' else 'Target'} lesions by {title}"),
        ),
        method=coded(METHODS[one.criterion]) if one.criterion in METHODS else None,
        measurements=items,
        qualitative_evaluations=category,
    )
    # TID 1501 has no row for the day of a number that is not of this study; its content is extensible.
    for day_name, day in ((DAY_OF_BASELINE, one.baseline_day), (DAY_OF_NADIR, one.nadir_day)):
        if day is not None:
            group[0].ContentSequence.append(
                DateContentItem(
                    name=CodedConcept(*day_name), value=day, relationship_type=RelationshipTypeValues.CONTAINS
                )
            )
    return group


#: Segments count from 1; scores have -1 and classes from -2 downwards, of which there are few.
_UNTRACKED = -1000


def _earlier(lesion: Lesion, context: TimePointContext, gone: Change | None) -> MeasurementsAndQualitativeEvaluations:
    evaluations = [QualitativeEvaluation(name=_CATEGORY_AT_BASELINE, value=_TARGET)] if lesion.target else []
    if gone is not None:
        evaluations.append(QualitativeEvaluation(name=_STANDING, value=_STANDINGS[gone.standing]))
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=lesion.tracking_uid, identifier=shortened(lesion.label)),
        time_point_context=context,
        measurements=[
            _number(name, value, unit)
            for quantity, (name, unit, _) in _QUANTITIES.items()
            if quantity != "product_mm2" and (value := getattr(lesion, quantity)) is not None
        ],
        qualitative_evaluations=evaluations,
    )


def _context(point: TimePoint, order: int) -> TimePointContext:
    return TimePointContext(
        time_point=f"{point.day:%Y-%m-%d}",
        time_point_type=_BASELINE if order == 1 else None,
        time_point_order=order,
    )


def _cited(point: TimePoint) -> Iterator[ContentItem]:
    yield UIDRefContentItem(
        name=_STUDY, value=point.study_instance_uid, relationship_type=RelationshipTypeValues.CONTAINS
    )
    for one in point.references:
        kind = ImageContentItem if one.sop_class_uid.startswith(_MASKS) else CompositeContentItem
        if one.sop_class_uid.startswith((_REPORTS, _MASKS, _STRUCTURES)):
            yield kind(
                name=_PRIOR_REPORT if one.sop_class_uid.startswith(_REPORTS) else _SOURCE,
                referenced_sop_class_uid=one.sop_class_uid,
                referenced_sop_instance_uid=one.sop_instance_uid,
                relationship_type=RelationshipTypeValues.CONTAINS,
            )


def _dataset(one: Reference) -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = one.study_instance_uid, one.series_instance_uid
    ds.SOPClassUID, ds.SOPInstanceUID = one.sop_class_uid, one.sop_instance_uid
    return ds


def _change_of(comparison: Comparison | None, tracking_uid: str) -> Change | None:
    changes: Sequence[Change] = comparison.changes if comparison else ()
    return next((one for one in changes if one.now and one.now.tracking_uid == tracking_uid), None)


def _number(name: CodedConcept, value: float, unit: CodedConcept | DictionaryCode) -> MeasurementItem:
    return MeasurementItem(name=name, value=float(value), unit=unit)
