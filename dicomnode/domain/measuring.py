"""What a model bundle declares of measuring: parts of lesions, response, radiomics and its harmonisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from dicomnode.domain.code import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSpec:
    """A part of every lesion that is told by its intensity, such as the solid part of a nodule.

    Attributes
    ----------
    range
        Lowest and highest intensity, both included, in the unit of the first input.
    minimum_volume_ml
        Connected pieces below this do not count.
    """

    name: str
    label: str
    type: Code
    range: tuple[float, float]
    minimum_volume_ml: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureSpec:
    """`[measure]`: what is measured beside volume and intensity.

    Attributes
    ----------
    lungs
        Numbers of the segments to whose surface the distance of a lesion is told.
    parts
        Parts of lesions whose volumes are told.
    criteria
        By what change against a prior is assessed: `recist`, `who`, `rano`, `volume`.
    volume_response
        Change of the total volume in percent at which the criterion `volume` says partial response (falling) and
        progression (rising).
    targets
        By organ (the code of a segment's anatomic region), at most how many lesions are targets; and in all.
    """

    lungs: tuple[int, ...] = ()
    parts: tuple[PartSpec, ...] = ()
    criteria: tuple[str, ...] = ()
    volume_response: tuple[float, float] = (-65.0, 73.0)
    targets: tuple[int, int] = (2, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Harmonisation:
    """Parameters of ComBat against a reference batch, fitted beforehand and kept in the bundle.

    Attributes
    ----------
    batch_by
        DICOM keywords whose values, joined, name the batch of a series (scanner model and kernel, say).
    reference
        Name of the batch to whose scale the others are brought.
    batches
        Batch → feature → (shift, factor): harmonised = (value - shift) * factor, see `measure.harmonise`.
    kept
        Features that passed the concordance demanded when it was fitted; the others are not harmonised.
    source
        On what it was fitted, in words for the report.
    """

    batch_by: tuple[str, ...]
    reference: str
    batches: Mapping[str, Mapping[str, tuple[float, float]]] = field(repr=False)
    kept: tuple[str, ...] = field(repr=False)
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RadiomicsSpec:
    """`[radiomics]`: the settings of pyradiomics that a bundle asks for.

    Attributes
    ----------
    image_types
        Name of an image type as pyradiomics calls it (`Original`, `Wavelet`, `LoG` …) → its own settings.
    classes
        Feature classes; all but shape2D when empty.
    settings
        pyradiomics' settings by its own names (`binWidth`, `resampledPixelSpacing`, `normalize` …).
    most_voxels
        Regions above this are refused, or with `coarsen` resampled to a coarser grid; both are said.
    most_anisotropy
        Above this ratio of the longest to the shortest side of a voxel there are no features, since textures in space
        take neighbours along all axes for alike; None sets no limit.
    ibsi
        Whether image and mask are prepared as the reference manual of IBSI does where that is not pyradiomics' way:
        grid about the centre of the image, mask by linear interpolation, whole Hounsfield units, bins of a fixed size
        from the lower limit of resegmentation on.
    outliers_sigma
        With `ibsi`, the resegmentation that leaves out voxels farther from their mean, in standard deviations, after
        that by `resegmentRange`.
    perturb
        Whether the mask is also grown and shrunk by one voxel, to tell how much each feature depends on the contour.
    stability
        Feature → what is known of its repeatability, in words with scanner, n and interval.
    """

    image_types: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({"Original": {}}))
    classes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({"binWidth": 25}))
    most_voxels: int = 5_000_000
    coarsen: bool = False
    most_anisotropy: float | None = None
    ibsi: bool = False
    outliers_sigma: float | None = None
    perturb: bool = False
    stability: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    harmonisation: Harmonisation | None = None
