"""The same patient at several times: what was measured, what belongs together, how it changed, what that means."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from dicomnode.domain.code import Code
from dicomnode.domain.uid import derived_uid

#: As the reason why nothing is compared: the first result has not waited for it.
COMPARED_LATER = (
    "The comparison with earlier studies follows in a report that replaces this one, unless it is called off"
)


#: How a person names a target lesion: T01 liver, TL2, Target lesion 3, Target node. T1 may be a vertebra, as T04 is
#: where the name says so, and Target 1 the target volume of a radiotherapy plan: these mark nothing.
_TARGET_NAME = re.compile(
    r"\s*(?:t0[1-9](?!.*vertebra)|tl[ _-]?\d{1,2}|"
    r"target[ _-]?(?:lesion|(?:lymph[ _-]?)?node|ln)[ _-]?\d{0,2})(?![a-z0-9])",
    re.IGNORECASE,
)


def names_target(name: str) -> bool:
    """Whether the name of a region (Segment Label, ROI Name) marks a target lesion that a person has chosen."""
    return _TARGET_NAME.match(name) is not None


class Standing(StrEnum):
    """What became of a lesion between two times; an algorithm alone calls none new or gone."""

    MATCHED = "matched"
    NOT_DETECTED = "not detected by the algorithm"
    NOT_IMAGED = "not covered by the images"
    CANDIDATE_NEW = "candidate new lesion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An object of an earlier study that a comparison rests on."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """One lesion at one time.

    Attributes
    ----------
    segment_number
        In the segmentation of the study that it was measured on; 0 where only a report tells of it.
    longest_mm, short_mm, volume_ml
        Longest axial diameter, the short axis perpendicular to it, volume; None where not measured.
    centroid_mm
        LPS in the frame of reference of its own study; None where not known.
    target
        Whether it was chosen as a target lesion.
    lymph_node
        Whether it is measured by its short axis (RECIST 1.1, sections 3.1.1 and 4.2).
    """

    tracking_uid: str
    label: str
    segment_number: int = 0
    organ: Code | None = None
    longest_mm: float | None = None
    short_mm: float | None = None
    volume_ml: float | None = None
    centroid_mm: tuple[float, float, float] | None = None
    target: bool = False
    lymph_node: bool = False

    @property
    def size_mm(self) -> float | None:
        """The diameter that counts in a sum of diameters: the short axis of nodes, the longest of all else."""
        return self.short_mm if self.lymph_node else self.longest_mm

    @property
    def product_mm2(self) -> float | None:
        """Bidimensional product (WHO, RANO)."""
        return None if self.longest_mm is None or self.short_mm is None else self.longest_mm * self.short_mm


@dataclass(frozen=True, slots=True, kw_only=True)
class SumAt:
    """A sum over target lesions, or over all lesions, and the day of its study (None where nobody tells)."""

    value: float
    day: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldSums:
    """What an earlier report tells of sums before it, by which studies count that are not at hand now.

    Attributes
    ----------
    sums_uid
        Of which lesions, see `sums_uid`.
    nadir
        The smallest sum before that report.
    every_study
        Whether that report knew of no study that it lacked; else its nadir may not be the smallest.
    """

    criterion: str
    sums_uid: str
    baseline: SumAt
    nadir: SumAt
    every_study: bool


def sums_uid(criterion: str, targets: Collection[str]) -> str:
    """The Tracking UID under which reports keep sums: the same for the same targets, at all times of a patient."""
    return derived_uid("response", criterion, *sorted(targets))


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePoint:
    """What one study says of a patient's lesions.

    Attributes
    ----------
    measured_by
        Model and version, or the person who drew the contours.
    by_person
        Whether a person drew them; such a choice of lesions outranks that of a model.
    chosen
        Whether a person named the targets among them (`names_target`); such a choice outranks every other.
    comparability
        What decides whether numbers may be held against each other, in words by name: slice thickness, kernel,
        contrast phase, uptake time, model.
    references
        The objects of that study that its numbers come from: report, mask, images.
    slice_mm
        Thickness or distance of its slices, whichever is more; None where not known.
    sums
        What its report tells of the sums of studies before it.
    """

    study_instance_uid: str
    day: date
    lesions: tuple[Lesion, ...]
    measured_by: str
    by_person: bool = False
    chosen: bool = False
    comparability: Mapping[str, str] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    slice_mm: float | None = None
    sums: tuple[ToldSums, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One lesion between the last time point and now; a lesion that one of the two lacks says so by its standing.

    Attributes
    ----------
    percent
        By quantity (`longest_mm`, `short_mm`, `volume_ml`, `product_mm2`), change against the last time point.
    growth_percent_per_day
        Specific growth rate of the volume, negative where it shrinks; None where not defined.
    doubling_days
        Time in which the volume doubles at this rate, negative where it shrinks (halves); None where not defined.
    """

    standing: Standing
    before: Lesion | None
    now: Lesion | None
    percent: Mapping[str, float] = field(default_factory=dict)
    growth_percent_per_day: float | None = None
    doubling_days: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Target lesions, or by volume all lesions, held against one criterion.

    Attributes
    ----------
    criterion
        `recist`, `who`, `rano` or `volume`.
    unit
        UCUM unit of the sums.
    category
        Response of the target lesions in code (CID 6143); None where the criterion cannot be answered from images
        alone or the lesions do not allow it, for the reason in `text`.
    baseline, nadir, now
        Sums over the target lesions, of diameters or of products, or over all lesions, of volumes; None where there
        are none, or one of them was not measured at that time. The nadir is the smallest earlier sum, the baseline's
        included; a first study has neither.
    baseline_day, nadir_day
        Of the studies of both.
    every_study
        Whether no earlier study is known to be missing; else the nadir is that of the studies at hand.
    targets
        Tracking UIDs of the target lesions; empty by volume.
    """

    criterion: str
    baseline: float | None
    nadir: float | None
    now: float | None
    unit: Code
    percent_from_baseline: float | None
    percent_from_nadir: float | None
    category: Code | None
    text: str
    targets: tuple[str, ...] = ()
    baseline_day: date | None = None
    nadir_day: date | None = None
    every_study: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A study held against earlier ones of the same patient.

    Attributes
    ----------
    now
        The present lesions, those that were matched under the tracking UID that they had before.
    priors
        Earlier time points, the oldest first. Empty where `not_comparable` says why, and at a first study, which has
        targets and their sums alone.
    not_comparable
        Why nothing is compared, in words for the reader; empty where something is.
    remarks
        What limits the comparison: another kernel, identity uncertain, registration poor.
    """

    now: TimePoint
    priors: tuple[TimePoint, ...] = ()
    changes: tuple[Change, ...] = ()
    assessments: tuple[Assessment, ...] = ()
    not_comparable: str = ""
    remarks: tuple[str, ...] = ()
