"""What a study has for the inputs of a model, and what it lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dicomnode.domain.study import Series


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What one frame of reference has for a model.

    Attributes
    ----------
    frame
        What tells this feed from others of the same rule: the frame of reference, and for contours the object.
    series
        Name of an input → the series that feeds it, in the order of the bundle.
    why
        Name of an input → why that series.
    lacking
        In words what is missing; empty when every input is fed.
    nearest
        The preferred series of those that match the rule, whether it feeds an input or not.
    """

    frame: str
    series: Mapping[str, Series]
    why: Mapping[str, str]
    lacking: str
    nearest: Series
