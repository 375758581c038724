"""`[signature]` in model.toml: features of lesions and of the patient, what the score says, how it becomes a risk."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dicomnode.domain.signature import (
    Calibration,
    CalibrationMethod,
    ScoreDistribution,
    SignatureFeature,
    SignatureSpec,
    Summary,
)
from dicomnode.infer.bundle.features import feature
from dicomnode.infer.bundle.radiomics import feature_parts
from dicomnode.infer.bundle.tables import CodeTable, Count, NotNegative, Number, Positive, Table, Text

SummaryName = Literal["largest", "mean", "max", "volume_weighted"]
Risk = Annotated[Number, Field(ge=0, le=1)]


def _rising(name: str, values: tuple[float, ...]) -> None:
    if any(not low < high for low, high in pairwise(values)):
        raise ValueError(f"{name} do not rise from each to the next, needed them in rising order")


class FeatureTable(Table):
    """`[[signature.feature]]`: one number of the network's vector, in the order of the rows.

    With `mask` it is a radiomics feature of that region, without it a DICOM keyword of the patient.
    """

    name: Text
    mask: Annotated[str, Field(pattern=r"^(lesion|ring|part:[a-z0-9][a-z0-9_-]*)$")] | None = None
    mean: Number | None = None
    std: Positive = 1.0
    missing: Literal["refuse"] | Number = "refuse"
    reference: Number | None = None
    coefficient: Number | None = None
    summary: SummaryName | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.mask is None:
            feature(self.name)
            if self.summary is not None:
                raise ValueError("summary without mask, needed for lesions alone: a patient has one value")
        else:
            feature_parts(self.name)
        if self.mean is None and self.reference is None:
            raise ValueError("neither mean nor reference, needed one: contributions are told against it")
        return self

    def spec(self, summary: SummaryName) -> SignatureFeature:
        """The same as a domain value; `summary` is what holds for all."""
        mean = 0.0 if self.mean is None else self.mean
        return SignatureFeature(
            name=self.name,
            mask=self.mask or "",
            mean=mean,
            std=self.std,
            imputed=None if self.missing == "refuse" else float(self.missing),
            reference=mean if self.reference is None else self.reference,
            coefficient=self.coefficient,
            summary=Summary(self.summary or summary),
        )


class CalibrationTable(Table):
    """`[signature.calibration]`: what every method states."""

    name: CodeTable
    source: Text

    def spec(self) -> Calibration:
        """The same as a domain value."""
        return Calibration(
            **{**self.model_dump(exclude={"name", "method"}), "name": self.name.code()},
            method=CalibrationMethod(getattr(self, "method", "")),
        )


class RiskTable(CalibrationTable):
    """Pairs of score and risk, as isotonic regression gives them."""

    method: Literal["table"]
    scores: Annotated[tuple[Number, ...], Field(min_length=2)]
    risks: Annotated[tuple[Risk, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.scores) != len(self.risks):
            raise ValueError(f"{len(self.scores)} scores and {len(self.risks)} risks, needed pairs")
        _rising("scores", self.scores)
        return self


class PlattTable(CalibrationTable):
    """risk = 1 / (1 + exp(-(slope * score + intercept)))."""

    method: Literal["platt"]
    slope: Number
    intercept: Number


class SurvivalTable(CalibrationTable):
    """risk = 1 - survival ** exp(score - centre), for a Cox model."""

    method: Literal["baseline_survival"]
    survival: Annotated[Number, Field(gt=0, lt=1)]
    centre: Number = 0.0


class DistributionTable(Table):
    """`[signature.distribution]`: percentiles of the score among those on whom it was developed."""

    percentiles: Annotated[tuple[Annotated[Number, Field(ge=0, le=100)], ...], Field(min_length=2)]
    scores: Annotated[tuple[Number, ...], Field(min_length=2)]
    patients: Count
    source: Text

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.scores) != len(self.percentiles):
            raise ValueError(f"{len(self.percentiles)} percentiles and {len(self.scores)} scores, needed pairs")
        _rising("percentiles", self.percentiles)
        _rising("scores", self.scores)
        return self

    def spec(self) -> ScoreDistribution:
        """The same as a domain value."""
        return ScoreDistribution(**self.model_dump())


class SignatureTable(Table):
    """`[signature]`: which features make the score, and what it says."""

    endpoint: Text
    horizon: Text
    feature: Annotated[tuple[FeatureTable, ...], Field(min_length=1)]
    summary: SummaryName = "largest"
    channel: Annotated[int, Field(ge=0)] = 0
    ring_mm: Positive | None = None
    ring_within: tuple[Count, ...] = ()
    minimum_volume_ml: NotNegative = 0.0
    calibration: Annotated[RiskTable | PlattTable | SurvivalTable, Field(discriminator="method")] | None = None
    distribution: DistributionTable | None = None

    @model_validator(mode="after")
    def _agreeing(self) -> Self:
        names = [f"{row.name} of {row.mask}" if row.mask else row.name for row in self.feature]
        if twice := sorted(name for name in {*names} if names.count(name) > 1):
            raise ValueError(f"{' and '.join(twice)} stands twice, needed each once")
        if any(row.mask == "ring" for row in self.feature) != (self.ring_mm is not None):
            raise ValueError("ring_mm and features of mask ring go together, needed both or none")
        if len({row.coefficient is None for row in self.feature}) > 1:
            raise ValueError("some features have a coefficient, needed all (a linear model) or none")
        if not any(row.mask for row in self.feature):
            raise ValueError("no feature has a mask, needed one at least that is measured in the images")
        if self.calibration is None and self.distribution is None:
            raise ValueError("neither calibration nor distribution, needed one: a bare score tells a reader nothing")
        return self

    def spec(self) -> SignatureSpec:
        """The same as a domain value."""
        return SignatureSpec(
            features=tuple(row.spec(self.summary) for row in self.feature),
            endpoint=self.endpoint,
            horizon=self.horizon,
            channel=self.channel,
            ring_mm=self.ring_mm or 0.0,
            ring_within=self.ring_within,
            minimum_volume_ml=self.minimum_volume_ml,
            calibration=self.calibration.spec() if self.calibration else None,
            distribution=self.distribution.spec() if self.distribution else None,
        )
