"""How the images of a series were made, as far as its headers tell: what a comparison with another study rests on."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.quality.contrast import contrast, phases_of
from dicomnode.infer.quality.tags import numbers, texts
from dicomnode.infer.read.decay import acquisition
from dicomnode.infer.read.petheader import PetHeader
from dicomnode.measure.change.circumstances import Circumstances

_DAY = timedelta(days=1)


def circumstances(source: SourceSeries) -> Circumstances:
    """What the headers tell of thickness, kernel, contrast agent, uptake time and reconstruction.

    Multi-frame objects keep most of it in functional groups (PS3.3 C.7.6.16).
    """
    kind = str(source.datasets[0].get("Modality") or "CT")
    phases = phases_of(source)
    return Circumstances(
        modality=kind,
        thickness_mm=_number(source, "SliceThickness"),
        kernel=_text(source, "ConvolutionKernel") if kind != "PT" else "",
        contrast=contrast(source, "present").passed,
        phase=phases[0] if len(phases) == 1 else "",
        uptake_minutes=_uptake_minutes(source) if kind == "PT" else None,
        reconstruction=_text(source, "ReconstructionMethod") if kind == "PT" else "",
        field_strength_t=_number(source, "MagneticFieldStrength") if kind == "MR" else None,
    )


def _uptake_minutes(source: SourceSeries) -> float | None:
    """From injection to the earliest acquisition of the series; None where the headers do not tell or contradict."""
    try:
        headers = [PetHeader(ds) for ds in source.datasets]
        begun = min((at for header in headers if (at := acquisition(header)) is not None), default=None)
        tracer = headers[0].item("RadiopharmaceuticalInformationSequence")
        injected = tracer.moment("RadiopharmaceuticalStartDateTime")
        clock = tracer.clock("RadiopharmaceuticalStartTime")
    except Unsuitable:
        return None
    if begun is None or (injected is None and clock is None):
        return None
    if injected is None and clock is not None:
        # A time of day alone: the last one before the scan.
        injected = datetime.combine(begun.date(), clock)
        injected -= _DAY if injected > begun else timedelta(0)
    passed = begun - injected if injected is not None else -_DAY
    return passed.total_seconds() / 60 if timedelta(0) <= passed < _DAY else None


def _number(source: SourceSeries, keyword: str) -> float | None:
    """Of the first plane that states it."""
    return next((number for number in numbers(source, keyword) if math.isfinite(number)), None)


def _text(source: SourceSeries, keyword: str) -> str:
    """One or several values in one line (Convolution Kernel may have several)."""
    return " ".join(" ".join(texts(source, keyword)).split())
