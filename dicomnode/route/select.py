"""Chooses, among the series that match a rule, the one that feeds its model, by a stated order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from statistics import median
from typing import Any

from dicomnode.domain.header import Header
from dicomnode.domain.model import InputSpec, ModelSpec, Severity
from dicomnode.domain.plane import plane_of
from dicomnode.domain.rule import Reason
from dicomnode.domain.study import Series
from dicomnode.route.match import evaluate

#: Images closer than this show the same plane, such as one that was sent twice.
_SAME_PLANE_MM = 1e-3

#: Positions are often written with two decimals.
_ROUNDING_MM = 0.005

#: By these a bundle says which corrections it wants, or does not.
_CORRECTIONS = frozenset({"CorrectedImage", "AttenuationCorrected"})

#: What `choose` prefers, first thing first; the documentation prints these lines.
ORDER = (
    "PET corrected for attenuation before PET that is not (Corrected Image)",
    "original before derived images (Image Type, value 1)",
    "axial before other planes (Image Orientation (Patient))",
    "thinner before thicker slices (Slice Thickness)",
    "more before fewer images",
    "lower before higher Series Number",
    "Series Instance UID, so that the choice never changes by itself",
)


def technical_faults(series: Series, spec: ModelSpec, fed: InputSpec) -> list[Reason]:
    """The needs of an input of a model that a series does not meet, as far as headers tell: images, slice spacing.

    A scan of three thin slices, or of thin slices with wide gaps, must not be preferred to the volume beside it.
    """
    headers = [instance.header for instance in series.instances]
    faults = [reason for condition in fed.conditions if not (reason := evaluate(condition, headers)).met]
    # PS3.3 C.8.2.1.1.1: such an image is there to plan the others on.
    if all("LOCALIZER" in header.values("ImageType") for header in headers):
        faults.append(Reason(met=False, text="a localizer, needed images to be read"))
    if not is_corrected(series) and not any(condition.path[-1] in _CORRECTIONS for condition in fed.conditions):
        faults.append(Reason(met=False, text="not corrected for attenuation, needed a corrected PET"))
    needed, count = _limit(spec, fed, "minimum_slices") or 1, len(series.instances)
    if count < needed and all(header.first("NumberOfFrames", 1) == 1 for header in headers):
        faults.append(Reason(met=False, text=f"{count} images, needed {needed} or more"))
    spacing, limits = slice_spacing_mm(headers), _limit(spec, fed, "slice_spacing_mm")
    if spacing and limits and not limits[0] - _ROUNDING_MM <= spacing <= limits[1] + _ROUNDING_MM:
        text = f"slice spacing {spacing:.2f} mm, needed {limits[0]:g} to {limits[1]:g} mm"
        faults.append(Reason(met=False, text=text))
    return faults


def _limit(spec: ModelSpec, fed: InputSpec, rule: str) -> Any:
    """The limit that blocks, of the input that it concerns: the first one where none is named."""
    return next(
        (
            check.limit
            for check in spec.valid
            if check.rule == rule and check.severity is Severity.BLOCK and (check.input or spec.input.name) == fed.name
        ),
        None,
    )


def slice_spacing_mm(headers: Sequence[Header]) -> float | None:
    """Median distance of neighbouring slices along their normal; None where positions do not tell."""
    orientation = headers[0].values("ImageOrientationPatient")
    positions = [header.values("ImagePositionPatient") for header in headers]
    if len(orientation) != 6 or any(len(position) != 3 for position in positions) or len(positions) < 2:
        return None
    rx, ry, rz, cx, cy, cz = (float(value) for value in orientation)
    normal = (ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx)
    depths = sorted(sum(float(p) * n for p, n in zip(position, normal, strict=True)) for position in positions)
    gaps = [upper - lower for lower, upper in pairwise(depths) if upper - lower > _SAME_PLANE_MM]
    return median(gaps) if gaps else None


def by_frame_of_reference(series: Sequence[Series]) -> list[tuple[str, list[Series]]]:
    """The series grouped by Frame of Reference UID; those without one stay alone, under their own UID."""
    return [(uid, list(group)) for uid, group in groupby(sorted(series, key=frame_of), key=frame_of)]


def frame_of(series: Series) -> str:
    """Frame of Reference UID of a series, or its own UID where it has none."""
    return str(series.header.first("FrameOfReferenceUID", series.series_instance_uid))


def choose(series: Sequence[Series]) -> tuple[Series, str]:
    """The preferred series by `ORDER`, and in words why."""
    ranked = sorted(series, key=preference)
    best = ranked[0]
    if len(ranked) == 1:
        return best, "the only series that matches"
    for line, ours, theirs in zip(ORDER, preference(best), preference(ranked[1]), strict=True):
        if ours != theirs:
            return best, f"chosen among {len(ranked)} series: {line}"
    return best, f"chosen among {len(ranked)} equal series"


def preference(series: Series) -> tuple[bool, bool, bool, float, int, int, str]:
    """Sort key of `choose`; smaller is better, one entry for each line of `ORDER`."""
    header = series.header
    return (
        not is_corrected(series),
        header.first("ImageType") != "ORIGINAL",
        not is_axial(header),
        float(header.first("SliceThickness", 1e9)),
        -len(series.instances),
        int(header.first("SeriesNumber", 1_000_000)),
        series.series_instance_uid,
    )


def is_axial(header: Header) -> bool:
    """Whether the slices' normal runs along the patient's head-foot axis."""
    values = [float(value) for value in header.values("ImageOrientationPatient")]
    return len(values) == 6 and plane_of(values[:3], values[3:]) == "axial"


def is_corrected(series: Series) -> bool:
    """Whether a PET may be corrected for attenuation; True for everything else.

    Corrected Image names what was done (PS3.3 C.8.9.1), Attenuation Corrected says it in enhanced images. A PET that
    speaks of no correction at all may be.
    """
    headers = [instance.header for instance in series.instances]
    if all(header.first("Modality") != "PT" for header in headers):
        return True
    return not any(
        header.first("AttenuationCorrected") == "NO"
        or ("CorrectedImage" in header and "ATTN" not in header.values("CorrectedImage"))
        for header in headers
    )
