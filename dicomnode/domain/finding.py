"""What an analysis finds: masks, measurements, warnings, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dicomnode.domain.boxes import boxes
from dicomnode.domain.code import Code
from dicomnode.domain.model import ModelSpec, Segment, Severity
from dicomnode.domain.response import Comparison
from dicomnode.domain.signature import Contribution

if TYPE_CHECKING:
    from highdicom import Volume
    from pydicom import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One image plane of a series as its object states it.

    Attributes
    ----------
    dataset
        Header of the object, without pixel data; the frames of a multi-frame object share it.
    frame_number
        Counts from 1 within a multi-frame object; None for a single-frame one.
    position_mm
        Centre of the first pixel, LPS (PS3.3 C.7.6.2.1.1).
    """

    dataset: Dataset = field(repr=False)
    frame_number: int | None = None
    position_mm: tuple[float, float, float]


def planes_of(datasets: Sequence[Dataset]) -> tuple[Plane, ...]:
    """The planes of single-frame objects, one each, where their headers say (the origin where they do not)."""
    return tuple(Plane(dataset=ds, position_mm=_point(ds.get("ImagePositionPatient") or (0, 0, 0))) for ds in datasets)


def _point(values: Sequence[float]) -> tuple[float, float, float]:
    return (float(values[0]), float(values[1]), float(values[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tilt:
    """How the planes of a tilted gantry lie in the upright volume that they were resampled to.

    Attributes
    ----------
    degrees
        Between the normal of the planes and the line along which they follow each other.
    shape
        Rows and columns of the source images.
    starts
        For every plane the place of its first pixel in the volume, (row, column) in voxels, not negative.
    """

    degrees: float
    shape: tuple[int, int]
    starts: tuple[tuple[float, float], ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSeries:
    """A stack of image planes as one volume, with the headers it came from.

    Attributes
    ----------
    volume
        Intensities in the unit of `unit`, axes (slice, row, column), affine in LPS mm; upright and regular. Slice i
        is `planes[i]`. Rows and columns are those of the source images, unless `tilt` says where these lie.
    planes
        Where every slice came from.
    unit
        UCUM unit of the intensities: `[hnsf'U]`, `g/ml{SUVbw}`, `Bq/ml`, `{counts}`, `1` (arbitrary) ….
    warnings
        What was unusual but acceptable, in words for the report.
    """

    volume: Volume
    planes: tuple[Plane, ...] = field(repr=False)
    unit: str = "1"
    tilt: Tilt | None = None
    warnings: tuple[str, ...] = ()

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """Headers of the objects, each once, in the order in which the volume meets them."""
        return tuple({id(plane.dataset): plane.dataset for plane in self.planes}.values())

    def on_planes(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A label map of the volume as the source images show it, (plane, row, column).

        Where a tilted stack was resampled, the nearest voxel is taken, at most half a pixel away.
        """
        if self.tilt is None:
            return labels
        rows, columns = self.tilt.shape
        planes = np.empty((len(labels), rows, columns), dtype=labels.dtype)
        for plane, slice_, (row, column) in zip(planes, labels, self.tilt.starts, strict=True):
            top, left = round(row), round(column)
            plane[...] = slice_[top : top + rows, left : left + columns]
        return planes


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """A label map on the grid of its source.

    Attributes
    ----------
    volume
        uint8, same shape and affine as the source volume; a voxel's value is its segment number, 0 is background.
    segments
        Descriptions of the labels that may occur.
    overlapping
        Further label maps of the same grid, with segments that share voxels with those before; numbers are unique
        over all. Networks make none, what people draw may need some.
    """

    volume: Volume
    segments: tuple[Segment, ...]
    overlapping: tuple[Segmentation, ...] = ()

    @property
    def layers(self) -> tuple[Segmentation, ...]:
        """All label maps, this one first."""
        return (self, *self.overlapping)

    def present(self) -> tuple[Segment, ...]:
        """The segments with at least one voxel."""
        found = boxes(self.volume.array)
        return tuple(segment for segment in self.segments if segment.number in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbabilityMap:
    """How probable the network holds one segment to be at every voxel, before any step that tidies the mask.

    Attributes
    ----------
    segment
        What it is the probability of; its number is that of the network's channel.
    volume
        uint16 on the grid of the source volume.
    slope
        What one step of a stored number is worth.
    """

    segment: Segment
    volume: Volume = field(repr=False)
    slope: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One number about one segment, coded.

    `unit` is a UCUM code. `derivation` says how a value sums up many (mean, maximum …), `method` how it was measured.

    Attributes
    ----------
    points_mm
        What was measured, for viewers to draw, LPS in mm: the two end points of a length, the one point of a place (a
        centroid's coordinates, an uptake's peak). Of a bounding box they are edges of the box, which nobody would set
        callipers to. Empty for what has no place.
    plane
        Index of the plane of the source on which the points lie; None where they lie on none.
    """

    segment_number: int
    name: Code
    value: float
    unit: Code
    derivation: Code | None = None
    method: Code | None = None
    points_mm: tuple[tuple[float, float, float], ...] = ()
    plane: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A number that could not be measured, with the reason in code (CID 42 "Numeric Value Qualifier") and in words."""

    segment_number: int
    name: Code
    unit: Code
    reason: Code
    text: str
    derivation: Code | None = None
    method: Code | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """Radiomics features of one segment with the settings that made them.

    Attributes
    ----------
    measurements
        The values that have a code, as reports write them.
    values
        All values as pyradiomics gives them, by its names (`original_glcm_Contrast`, `wavelet-HHL_firstorder_Mean`).
    absent
        What could not be computed, and why.
    remarks
        What a reader of the values has to know: coarsened, harmonised with what, not harmonised why.
    contour_change
        Largest change of a value, relative to it, when the mask is grown or shrunk by one voxel; empty unless asked.
    """

    segment_number: int
    measurements: tuple[Measurement, ...] = field(repr=False)
    software: str
    settings: str
    values: Mapping[str, float] = field(default_factory=dict, repr=False)
    absent: tuple[Absent, ...] = ()
    remarks: tuple[str, ...] = ()
    contour_change: Mapping[str, float] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A box around something, with the network's score.

    Attributes
    ----------
    number
        Counts from 1 by falling score.
    segment
        What the box is said to hold.
    low, high
        Corners in voxels of the source volume, (slice, row, column), edges included: a box round voxel i alone goes
        from i - 0.5 to i + 0.5.
    """

    number: int
    segment: Segment
    score: float
    low: tuple[float, float, float]
    high: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """A classifier's answer: the question, the most probable answer, and the probability of every answer."""

    question: Code
    answer: Code
    probabilities: tuple[tuple[Code, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule of the quality gate held against one series or one result.

    Attributes
    ----------
    found, limit
        In words with units.
    """

    rule: str
    found: str
    limit: str
    passed: bool
    severity: Severity = Severity.BLOCK

    @property
    def text(self) -> str:
        """Rule, value and limit in one line."""
        return f"{self.rule.replace('_', ' ')}: {self.found}, needed {self.limit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contours:
    """An object of another hand whose regions were measured: a SEG or an RT Structure Set.

    Attributes
    ----------
    dataset
        What refers to it: study, series and instance UID, SOP class, modality.
    segment_numbers
        Number of a segment here → its Segment Number in the SEG; empty for a structure set.
    tracking_uids
        Number of a segment here → the Tracking UID that the object gives it.
    author
        Who drew it, with what and when, in words. May name people: for reports alone, never for a log.
    """

    dataset: Dataset = field(repr=False)
    segment_numbers: Mapping[int, int] = field(default_factory=dict)
    tracking_uids: Mapping[int, str] = field(default_factory=dict)
    author: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything one analysis has to say about one series.

    Attributes
    ----------
    segmentation
        Empty and without segments where the task is not to segment.
    maps
        Probabilities of the segments that the network tells apart; empty where nobody asked for them.
    companions
        The series of the further inputs, resampled to the source's grid by preparation.
    measurements
        Numbers about segments; those about segment 0 concern the whole series, such as scores.
    absent
        Numbers that could not be measured, and why.
    comparison
        The same patient at earlier times; None where none was asked for.
    contributions
        What each feature adds to the score of a signature, in the order of the bundle.
    statements
        What a reader needs to read the scores: endpoint, horizon, calibration or its absence.
    checks
        The quality gate's report on input and output.
    contours
        What somebody else drew and this analysis measured; None where a model found the regions.
    """

    source: SourceSeries
    segmentation: Segmentation
    measurements: tuple[Measurement, ...]
    maps: tuple[ProbabilityMap, ...] = ()
    absent: tuple[Absent, ...] = ()
    features: tuple[FeatureSet, ...] = ()
    comparison: Comparison | None = None
    detections: tuple[Detection, ...] = ()
    classifications: tuple[Classification, ...] = ()
    companions: tuple[SourceSeries, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    statements: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    warnings: tuple[str, ...] = ()
    contours: Contours | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorReport:
    """An earlier report on the same study and rule, which a new one names as its predecessor.

    Attributes
    ----------
    others
        What further destinations have in its place: other forms of it, or an older one.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    others: tuple[PriorReport, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Who made a result, with what, when.

    Attributes
    ----------
    node_version
        Version of this software.
    station
        AE title of the node that ran it.
    started_at
        Start of the analysis, timezone-aware; becomes Content Date and Time.
    predecessor
        The report that this one replaces, if any.
    research
        Whether the result is for research alone, as everything is until a rule says otherwise.
    received
        How complete the study was when it was analysed, in words: instances received of expected, and by what
        evidence it was taken to be complete. Empty where nobody waited for it.
    """

    node_version: str
    station: str
    rule: str
    model: ModelSpec
    revision: int
    run: int
    started_at: datetime
    predecessor: PriorReport | None = None
    research: bool = True
    received: str = ""
