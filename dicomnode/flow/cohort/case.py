"""Measures one case of a cohort: a row for every region, or one row that says why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.finding import FeatureSet, Segmentation, SourceSeries
from dicomnode.domain.measuring import RadiomicsSpec
from dicomnode.domain.model import Segment
from dicomnode.flow.batch import BATCH_BY, batch_of, stated
from dicomnode.flow.cohort.cases import Case
from dicomnode.flow.cohort.checks import checks
from dicomnode.flow.measured import features
from dicomnode.flow.reason import in_words
from dicomnode.infer.contours.read import read_contours
from dicomnode.infer.read.volume import read_series
from dicomnode.measure.features.work import FAILURES
from dicomnode.measure.region import voxel_volume_ml

Row = dict[str, Any]

OK, NO_FEATURES, FAILED = "ok", "no features", "failed"

#: What may differ between scanners and protocols, by keyword; a column for each.
SCANNER = (
    "Modality",
    "Manufacturer",
    *dict.fromkeys(keyword for keywords in BATCH_BY.values() for keyword in keywords),
    "SliceThickness",
)


def measured_case(case: Case, spec: RadiomicsSpec) -> list[Row]:
    """The rows of a case in the order of its regions; whatever is wrong with it is told in one row."""
    try:
        return _measured(case, spec)
    except (DicomNodeError, OSError, *FAILURES) as error:
        return [failed(case, _without_paths(error))]


def failed(case: Case, reason: str) -> Row:
    """The row of a case that cannot be measured."""
    return {**_identity(case), "status": FAILED, "reason": reason}


def _without_paths(error: Exception) -> str:
    """The reason; what the system says of a file names its path, which may name the patient."""
    return f"a file cannot be read: {error.strerror}" if isinstance(error, OSError) else in_words(error)


def _identity(case: Case) -> Row:
    return {
        "patient": case.patient,
        "study_instance_uid": case.study_instance_uid,
        "series_instance_uid": case.series_instance_uid,
        "contours_sop_instance_uid": case.contours_sop_instance_uid,
    }


def _measured(case: Case, spec: RadiomicsSpec) -> list[Row]:
    if case.lacking:
        return [failed(case, case.lacking)]
    source = read_series(case.images)
    drawn = read_contours([case.contours], source)
    header = source.datasets[0]
    modality = str(header.get("Modality") or "")
    keywords = BATCH_BY.get(modality, ())
    series = {
        **_identity(case),
        "contours": str(drawn.contours.dataset.Modality) if drawn.contours else "",
        **{keyword: stated(header, keyword) for keyword in SCANNER},
        "batch_by": "+".join(keywords),
        "batch": (batch_of(header, keywords) if keywords else None) or "",
        "unit": source.unit,
    }
    rows = [
        _row(series, source, layer, segment, found, drawn.warnings, spec)
        for layer in drawn.segmentation.layers
        for segment, found in _described(source, layer, spec)
    ]
    return sorted(rows, key=lambda row: int(row["segment_number"]))


def _described(source: SourceSeries, layer: Segmentation, spec: RadiomicsSpec) -> Iterator[tuple[Segment, FeatureSet]]:
    present = {segment.number: segment for segment in layer.present()}
    for found in features(source, layer, sorted(present), spec):
        yield present[found.segment_number], found


def _row(
    series: Row,
    source: SourceSeries,
    layer: Segmentation,
    segment: Segment,
    found: FeatureSet,
    warnings: tuple[str, ...],
    spec: RadiomicsSpec,
) -> Row:
    mask = layer.volume.array == segment.number
    voxels = int(np.count_nonzero(mask))
    slices_mm, rows_mm, columns_mm = (float(length) for length in source.volume.spacing)
    return {
        **series,
        "region": segment.label,
        "segment_number": segment.number,
        "status": OK if found.values else NO_FEATURES,
        "reason": "" if found.values else "; ".join(row.text for row in found.absent),
        "slice_spacing_mm": slices_mm,
        "row_spacing_mm": rows_mm,
        "column_spacing_mm": columns_mm,
        "voxels": voxels,
        "volume_ml": voxels * voxel_volume_ml(source.volume),
        **checks(source, mask, spec),
        "remarks": "; ".join(dict.fromkeys((*warnings, *found.remarks))),
        "software": found.software,
        **found.values,
    }
