"""The phantom with lesions that were measured at two times."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Findings
from dicomnode.domain.measuring import MeasureSpec
from dicomnode.domain.model import Segment, Subject
from dicomnode.domain.response import Comparison, Lesion, Reference, TimePoint
from dicomnode.domain.uid import ResultUids
from dicomnode.measure import intensity, lesions, size
from dicomnode.measure.change.assess import assess, with_targets
from dicomnode.measure.measured import joined

from .conftest import LESION, LUNG, NODULE, SHAPE, STUDY, findings_in

LYMPH_NODE = Code(value="59441001", scheme="SCT", meaning="Lymph node")

LESIONS = (
    Segment(
        number=1, label="Nodule 1", category=LESION, type=NODULE, anatomic_region=LUNG, subject=Subject.LESION,
        color_rgb=(230, 90, 60),
    ),
    Segment(
        number=2, label="Nodule 2", category=LESION, type=NODULE, anatomic_region=LUNG, subject=Subject.LESION,
        color_rgb=(80, 200, 120),
    ),
    Segment(
        number=3, label="Node", category=LESION, type=LYMPH_NODE, subject=Subject.LYMPH_NODE, color_rgb=(90, 140, 250)
    ),
    Segment(number=4, label="Nodule 3", category=LESION, type=NODULE, anatomic_region=LUNG, subject=Subject.LESION),
)  # fmt: skip

#: Report, mask and one image of the earlier study.
EARLIER_STUDY = "1.2.826.0.1.99.7"
EARLIER = tuple(
    Reference(
        study_instance_uid=EARLIER_STUDY,
        series_instance_uid=f"{EARLIER_STUDY}.{place}",
        sop_class_uid=sop_class,
        sop_instance_uid=f"{EARLIER_STUDY}.{place}.1",
    )
    for place, sop_class in enumerate(
        ("1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.2"), start=1
    )
)


def regions() -> NDArray[np.uint8]:
    """A large nodule, a nodule of one slice, a node; the last nodule is not there. Shape `SHAPE`."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    array = np.zeros(SHAPE, dtype=np.uint8)
    # Turned in the plane, so that its axes follow neither rows nor columns.
    u, v = 0.8 * (y - 9) * 1.5 + 0.6 * (x - 8), -0.6 * (y - 9) * 1.5 + 0.8 * (x - 8)
    array[((z - 5) / 3.4) ** 2 + (u / 9) ** 2 + (v / 5) ** 2 < 1] = 1
    array[9, 3:5, 20:24] = 2
    array[((z - 6) / 3.4) ** 2 + ((y - 14) / 3) ** 2 + ((x - 20) / 4) ** 2 < 1] = 3
    return array


def measured_lesions(name: str = "axial") -> Findings:
    """Lesions measured as the node measures them."""
    base = findings_in(name, regions())
    mask = replace(base.segmentation, segments=LESIONS)
    spec = MeasureSpec(criteria=("recist", "volume"))
    found = joined((size.measure(base.source.volume, mask, spec), intensity.measure(base.source.volume, mask, "CT")))
    return replace(
        base, segmentation=mask, measurements=found.measurements, absent=found.absent, warnings=found.remarks,
        features=(),
    )  # fmt: skip


def compared(findings: Findings, uids: ResultUids, growth: float = 1 / 0.6) -> Findings:
    """The same held against an earlier study in which the diameters were `growth` times as long.

    A target nodule of that study is not found again, and one of now was not there.
    """
    present = lesions.of(findings.segmentation, findings.measurements, uids.tracking)
    before = [
        replace(
            one,
            longest_mm=one.longest_mm and growth * one.longest_mm,
            short_mm=one.short_mm and growth * one.short_mm,
            volume_ml=one.volume_ml and growth**3 * one.volume_ml,
            segment_number=0,
        )
        for one in present
        if one.label != "Nodule 2"
    ]
    gone = Lesion(tracking_uid="2.25.99", label="Nodule 3", longest_mm=7.0, short_mm=5.0, volume_ml=0.2)
    prior = TimePoint(
        study_instance_uid=EARLIER_STUDY, day=date(2025, 10, 3), lesions=(*before, gone),
        measured_by="chest-ct 1.0.0", references=EARLIER,
    )  # fmt: skip
    now = TimePoint(study_instance_uid=STUDY, day=date(2026, 1, 1), lesions=present, measured_by="chest-ct 1.0.0")
    spec = MeasureSpec(criteria=("recist", "who", "rano", "volume"))
    priors, now = with_targets([prior], now, spec)
    changes, assessments = assess(priors, now, spec)
    remarks = ("2025-10-03: slices of 5.0 mm then and 2.5 mm now",)
    comparison = Comparison(now=now, priors=priors, changes=changes, assessments=assessments, remarks=remarks)
    return replace(findings, comparison=comparison)
