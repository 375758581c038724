"""A signature, a score computed from named features of lesions and of the patient: its bundle and its explanation."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from dicomnode.domain.code import Code


class Summary(StrEnum):
    """How the values of several lesions become one of the patient."""

    LARGEST = "largest"
    MEAN = "mean"
    MAXIMUM = "max"
    VOLUME_WEIGHTED = "volume_weighted"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureFeature:
    """One number that goes into a signature; the network takes them in the order of the bundle.

    Attributes
    ----------
    name
        As pyradiomics calls it, or a DICOM keyword where `mask` is empty.
    mask
        `lesion`, `ring`, or `part:` and the name of one of `MeasureSpec.parts`; empty for what headers tell.
    mean, std
        The network gets (value - mean) / std.
    imputed
        What stands for a missing value, as it did in training; None refuses the analysis.
    reference
        The value against which a contribution is told.
    coefficient
        Of the standardised value in a linear model; None where the model is not linear.
    summary
        How the values of several lesions become one.
    """

    name: str
    mask: str
    mean: float
    std: float
    imputed: float | None
    reference: float
    coefficient: float | None
    summary: Summary

    @property
    def text(self) -> str:
        """How reports call it."""
        return f"{self.name} of {self.mask.replace(':', ' ')}" if self.mask else self.name


class CalibrationMethod(StrEnum):
    """How a score becomes a risk."""

    TABLE = "table"
    PLATT = "platt"
    BASELINE_SURVIVAL = "baseline_survival"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What makes a risk of a score; without it none is told.

    Attributes
    ----------
    name
        What the risk is called in the report.
    scores, risks
        Of the method `table` (isotonic regression, say): interpolated linearly, and the last value beyond both ends.
    slope, intercept
        Of the method `platt`: risk = 1 / (1 + exp(-(slope * score + intercept))).
    survival, centre
        Of the method `baseline_survival`: risk = 1 - survival ** exp(score - centre), the survival at the horizon of a
        patient whose score is the centre.
    source
        On whom it was calibrated, in words for the report.
    """

    method: CalibrationMethod
    name: Code
    source: str
    scores: tuple[float, ...] = field(default=(), repr=False)
    risks: tuple[float, ...] = field(default=(), repr=False)
    slope: float = 1.0
    intercept: float = 0.0
    survival: float = 1.0
    centre: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreDistribution:
    """The scores of those on whom a signature was developed.

    Attributes
    ----------
    percentiles, scores
        Percentile → score, both rising; percentiles between are interpolated.
    patients
        How many there were.
    source
        Who they were, in words for the report.
    """

    percentiles: tuple[float, ...] = field(repr=False)
    scores: tuple[float, ...] = field(repr=False)
    patients: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureSpec:
    """`[signature]`: which features make the score, and what the score says.

    Attributes
    ----------
    endpoint, horizon
        What is foreseen and until when, in words.
    channel
        Which number of the network's output is the score.
    ring_mm
        How far the mask `ring` reaches round a lesion.
    ring_within
        Numbers of segments to which a ring is limited; anything but other lesions when empty.
    minimum_volume_ml
        Lesions below are left out.
    """

    features: tuple[SignatureFeature, ...] = field(repr=False)
    endpoint: str
    horizon: str
    channel: int = 0
    ring_mm: float = 0.0
    ring_within: tuple[int, ...] = ()
    minimum_volume_ml: float = 0.0
    calibration: Calibration | None = None
    distribution: ScoreDistribution | None = None

    @property
    def linear(self) -> bool:
        """Whether the bundle gives the coefficient of every feature."""
        return all(feature.coefficient is not None for feature in self.features)

    @property
    def clinical(self) -> tuple[str, ...]:
        """The features that headers tell."""
        return tuple(feature.name for feature in self.features if not feature.mask)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one feature adds to the score of a signature.

    Attributes
    ----------
    feature
        Its name and its region, as reports call it.
    value
        As measured, or as imputed.
    amount
        In the unit of the score, against a patient in whom this feature has its reference value.
    exact
        Whether amounts add up (coefficients of a linear model); else it is the change of the score when this feature
        alone takes its reference value.
    imputed
        Whether the value was not known and stands in as in training.
    """

    feature: str
    value: float
    amount: float
    exact: bool
    imputed: bool = False
