"""The figures of agreement of one structure of one case."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomnode.domain.finding import Findings
from dicomnode.measure import diameter
from dicomnode.measure.agreement.overlap import dice, jaccard
from dicomnode.measure.agreement.path import added_path
from dicomnode.measure.agreement.surface import distances
from dicomnode.measure.region import voxel_volume_ml

Mask = NDArray[np.bool_]
Row = dict[str, Any]


def agreement(findings: Findings, reference: Mask, answer: Mask, tolerance_mm: float, *, lesion: bool) -> Row:
    """The columns of one structure; None for what these masks do not tell, such as distances to an empty one."""
    volume = findings.source.volume
    slice_mm, row_mm, column_mm = (float(length) for length in volume.spacing)
    voxel_ml = voxel_volume_ml(volume)
    reference_ml, answer_ml = (int(np.count_nonzero(mask)) * voxel_ml for mask in (reference, answer))
    apart = distances(reference, answer, (slice_mm, row_mm, column_mm))
    either = bool(reference.any() or answer.any())
    path = added_path(reference, answer, row_mm, column_mm)
    long_mm = [_long_mm(mask, row_mm, column_mm) if lesion else None for mask in (reference, answer)]
    return {
        "reference_ml": reference_ml,
        "answer_ml": answer_ml,
        "volume_error_ml": answer_ml - reference_ml,
        "volume_error_percent": 100 * (answer_ml / reference_ml - 1) if reference_ml else None,
        "dice": dice(reference, answer),
        "jaccard": jaccard(reference, answer),
        "surface_dice": apart.dice_within(tolerance_mm) if apart else 0.0 if either else None,
        "hd95_mm": apart.hausdorff_mm() if apart else None,
        "mean_surface_mm": apart.mean_mm() if apart else None,
        "added_path_mm": path.length_mm if reference_ml else None,
        "added_path_pixels": path.pixels if reference_ml else None,
        "added_voxels": path.voxels if reference_ml else None,
        "reference_long_mm": long_mm[0],
        "answer_long_mm": long_mm[1],
        "long_error_mm": None if None in long_mm else long_mm[1] - long_mm[0],  # type: ignore[operator]
    }


def _long_mm(mask: Mask, row_mm: float, column_mm: float) -> float | None:
    axes = diameter.axial(mask, row_mm, column_mm) if mask.any() else None
    return axes.long_mm if axes else None
