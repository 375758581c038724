"""What an analysis finds: masks, measurements, warnings, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from scipy import ndimage

from dicomnode.domain.code import Code
from dicomnode.domain.model import ModelSpec, Segment

if TYPE_CHECKING:
    from highdicom import Volume
    from pydicom import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSeries:
    """A series as one volume with the headers it came from.

    Attributes
    ----------
    volume
        Rescaled intensities (HU for CT), axes (slice, row, column), affine in LPS mm; the rows and columns
        are those of the source images and slice i is `datasets[i]`.
    datasets
        Headers in the order of the volume's first axis, without pixel data.
    warnings
        What was unusual but acceptable, in words for the report.
    """

    volume: Volume
    datasets: tuple[Dataset, ...] = field(repr=False)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """A label map on the grid of its source.

    Attributes
    ----------
    volume
        uint8, same shape and affine as the source volume; a voxel's value is its segment number, 0 is background.
    segments
        Descriptions of the labels that may occur.
    """

    volume: Volume
    segments: tuple[Segment, ...]

    def present(self) -> tuple[Segment, ...]:
        """The segments with at least one voxel."""
        boxes = ndimage.find_objects(self.volume.array)
        found = {number for number, box in enumerate(boxes, start=1) if box}
        return tuple(segment for segment in self.segments if segment.number in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One number about one segment, coded.

    `unit` is a UCUM code. `derivation` says how a value sums up many (mean, maximum …), `method` how it was measured.
    """

    segment_number: int
    name: Code
    value: float
    unit: Code
    derivation: Code | None = None
    method: Code | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """Radiomics features of one segment with the settings that made them."""

    segment_number: int
    measurements: tuple[Measurement, ...] = field(repr=False)
    software: str
    settings: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything one analysis has to say about one series."""

    source: SourceSeries
    segmentation: Segmentation
    measurements: tuple[Measurement, ...]
    features: tuple[FeatureSet, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorReport:
    """An earlier report on the same study and rule, which a new one names as its predecessor."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


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
    """

    node_version: str
    station: str
    rule: str
    model: ModelSpec
    revision: int
    run: int
    started_at: datetime
    predecessor: PriorReport | None = None
