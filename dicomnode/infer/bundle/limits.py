"""`[valid]` and `[plausible]` in model.toml: the range of inputs the model was made for, and of outputs to believe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, Literal, TypeVar

from dicomnode.domain.model import CheckSpec, Severity
from dicomnode.infer.bundle.tables import Count, PositiveRange, Table

Limit = TypeVar("Limit")


class Judged(Table, Generic[Limit]):
    """A limit that says what a failure does."""

    limit: Limit
    otherwise: Literal["block", "warn"]


class LimitsTable(Table):
    """Keys are rules; a value is the limit, or a table of limit and what a failure does."""

    def checks(self) -> Iterator[CheckSpec]:
        """The limits that are stated, as domain values; `_otherwise` says what a bare limit's failure does."""
        for rule in type(self).model_fields:
            value: Any = getattr(self, rule)
            if value is None:
                continue
            if isinstance(value, Judged):
                yield CheckSpec(rule=rule, limit=value.limit, severity=Severity(value.otherwise))
            else:
                yield CheckSpec(rule=rule, limit=value, severity=self.severity_of(rule))

    def severity_of(self, rule: str) -> Severity:
        """What the failure of a bare limit does."""
        return Severity.BLOCK


Plane = Literal["axial", "coronal", "sagittal", "oblique"]


class ValidTable(LimitsTable):
    """`[valid]`: the inputs for which the model was made."""

    slice_spacing_mm: PositiveRange | Judged[PositiveRange] | None = None
    pixel_spacing_mm: PositiveRange | Judged[PositiveRange] | None = None
    minimum_slices: Count | Judged[Count] | None = None
    orientations: tuple[Plane, ...] | Judged[tuple[Plane, ...]] | None = None


class VolumeLimit(Table):
    """The believable volume of one segment."""

    segment: Count
    range: PositiveRange


class PlausibleTable(LimitsTable):
    """`[plausible]`: what a believable output is."""

    right_of: tuple[tuple[Count, Count], ...] | Judged[tuple[tuple[Count, Count], ...]] | None = None
    volume_ml: tuple[VolumeLimit, ...] | Judged[tuple[VolumeLimit, ...]] | None = None

    def severity_of(self, rule: str) -> Severity:
        """A wrong side blocks, since it means a misread orientation; an unusual volume warns."""
        return Severity.BLOCK if rule == "right_of" else Severity.WARN
