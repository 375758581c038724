"""Whether values can be what their unit says: Hounsfield units of a body, uptake of a tracer, signal of MR."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from dicomnode.domain.finding import Check, SourceSeries
from dicomnode.domain.model import Severity
from dicomnode.infer.quality.hounsfield import AIR_HU, PADDING_HU, SOFT_TISSUE_HU, is_ct
from dicomnode.infer.quality.outcome import number
from dicomnode.infer.quality.tags import texts

#: About how many voxels are looked at; 1 % of them still are ten thousand.
SAMPLE = 1_000_000

#: Below lies padding. Above lies metal alone, which never fills a hundredth of a body (enamel ends near 3000 HU).
HOUNSFIELD_RANGE = (PADDING_HU, 4000.0)

#: SUV averages 1 over the body by definition, so that its maximum is more. At 1000 every ml would hold 1.4 % of the
#: dose of 70 kg. Beyond, activity or dose are in another unit; a factor of ten is left for phantoms, and what leaks at
#: an injection site is why it only warns.
HIGHEST_SUV = (0.1, 1000.0)


def intensity_range(source: SourceSeries) -> Iterator[Check]:
    """A check of the values where the unit or the modality says what they may be; nothing for other series."""
    if is_ct(source):
        yield _hounsfield(source)
    elif "SUV" in source.unit:
        high = float(np.fmax.reduce(source.volume.array, axis=None))
        low_limit, high_limit = HIGHEST_SUV
        found, needed = f"a highest SUV of {number(high)}", f"{low_limit:g} to {high_limit:g}"
        yield _check(found, needed, low_limit <= high <= high_limit, Severity.WARN)
    elif texts(source, "Modality") == ("MR",) and source.unit == "1":
        high = float(np.fmax.reduce(source.volume.array, axis=None))
        yield _check(f"intensities up to {number(high)}", "signal above 0", high > 0, Severity.WARN)


def _hounsfield(source: SourceSeries) -> Check:
    """Blocks where hardly a voxel is between air and metal, warns where many are not or no tissue and no air is."""
    lowest, highest = HOUNSFIELD_RANGE
    sample = _sample(source.volume.array)
    shown = sample[sample >= lowest]
    low, high = (float(one) for one in np.quantile(shown if shown.size else sample, [0.01, 0.99]))
    found = f"1 % to 99 % of intensities from {number(low)} to {number(high)} HU"
    body = any(bool(((sample >= start) & (sample <= end)).any()) for start, end in (AIR_HU, SOFT_TISSUE_HU))
    needed = f"{number(lowest)} to {number(highest)} HU with air or soft tissue"
    if not body:
        found += " without air or soft tissue"
    outside = low > highest or not shown.size
    return _check(found, needed, body and high <= highest, Severity.BLOCK if outside else Severity.WARN)


def _sample(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    step = max(1, round((array.size / SAMPLE) ** (1 / 3)))
    sample = array[::step, ::step, ::step].ravel()
    return sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample


def _check(found: str, needed: str, passed: bool, severity: Severity) -> Check:
    return Check(rule="intensity_range", found=found, limit=needed, passed=passed, severity=severity)
