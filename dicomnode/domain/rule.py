"""Routing rules: conditions over DICOM keywords, and the explained outcome of holding one against a series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from dicomnode.domain.prior import PriorWish
from dicomnode.domain.retention import KeepDays


class Use(StrEnum):
    """What the results of a rule are for; research goes only to destinations that accept it."""

    RESEARCH = "research"
    CLINICAL = "clinical"


class Operator(StrEnum):
    """How a condition compares; the names are those of the configuration file."""

    EQUALS = "equals"
    ANY_OF = "any_of"
    CONTAINS = "contains"
    NOT_CONTAINS = "not_contains"
    MATCHES = "matches"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    PRESENT = "present"
    MISSING = "missing"
    NOT = "not"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One clause on one attribute.

    Attributes
    ----------
    path
        Keywords from the data set down to the attribute; all but the last name sequences, and any item may match.
        On a rule's study also one of `calling_aet`, `called_aet` and `peer`.
    operand
        What to compare with; for `NOT` a tuple of conditions of which not all may hold.
    or_missing
        Whether an absent or empty attribute passes.
    """

    path: tuple[str, ...]
    operator: Operator
    operand: Any
    or_missing: bool = False

    @property
    def key(self) -> str:
        """The attribute as the configuration writes it."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What to run on which series and where the results go.

    Attributes
    ----------
    study
        Conditions on the study and the association that brought it.
    series
        Conditions on every series that is to be analysed, whichever input of the model it feeds.
    inputs
        Name of an input → further conditions on the series that feeds it.
    use
        Decides how results are marked and who may have them. A clinical rule needs a model that this site has accepted
        as it is now (`dicomnode models accept`), which the planner says where it says that a bundle is missing.
    deadline_seconds
        A reader who waits for longer after the study has settled is told so; 0 for no deadline.
    priors
        Which earlier studies to compare with; None for none.
    keep_days
        How long its studies keep their files; what it leaves open is as the configuration's default.
    shadow
        The rule is held against what comes and what it would have run stands in the story; nothing runs.
    shadow_model
        Name of a bundle that analyses the same inputs once the rule's own result is in the books. Its answer goes to
        nobody; how it differs is recorded. Empty for none.
    """

    name: str
    model: str
    outputs: tuple[str, ...]
    destinations: tuple[str, ...]
    study: tuple[Condition, ...] = ()
    series: tuple[Condition, ...] = ()
    inputs: Mapping[str, tuple[Condition, ...]] = field(default_factory=lambda: MappingProxyType({}))
    priority: int = 0
    radiomics: bool = False
    enabled: bool = True
    priors: PriorWish | None = None
    use: Use = Use.RESEARCH
    deadline_seconds: float = 0.0
    keep_days: KeepDays = field(default_factory=KeepDays)
    shadow: bool = False
    shadow_model: str = ""

    @property
    def runs(self) -> bool:
        """Whether what it matches is analysed."""
        return self.enabled and not self.shadow


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One clause held against one series, in words."""

    met: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A rule held against one series, clause by clause; `input` names what the series would feed, "" any."""

    rule: Rule
    series_instance_uid: str
    reasons: tuple[Reason, ...]
    input: str = ""

    @property
    def matched(self) -> bool:
        """Whether every clause holds."""
        return all(reason.met for reason in self.reasons)

    @property
    def failed(self) -> tuple[Reason, ...]:
        """The clauses that do not hold."""
        return tuple(reason for reason in self.reasons if not reason.met)
