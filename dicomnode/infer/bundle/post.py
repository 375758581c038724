"""`[[post]]` in model.toml: the steps after the network, each with its settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dicomnode.domain.model import Step
from dicomnode.infer.bundle.tables import Count, NotNegative, Number, Positive, Table

Probability = Annotated[Number, Field(gt=0, lt=1)]


class PostTable(Table):
    """One step; `segments` are the labels that it treats, all when empty."""

    step: str
    segments: tuple[Count, ...] = ()

    def as_step(self) -> Step:
        """The same as a domain value."""
        return Step(name=self.step, options=self.model_dump(exclude={"step"}))


class ArgmaxTable(PostTable):
    """The most probable label or background; of equals the lower number. It is the usual first step."""

    step: Literal["argmax"]


class ThresholdTable(PostTable):
    """Labels above their threshold, in the order of `segments`.

    Where several pass, `highest` takes the one that exceeds its threshold by the greatest ratio, `last` the one of the
    greatest number (nested regions, the innermost last).
    """

    step: Literal["threshold"]
    threshold: Annotated[tuple[Probability, ...], Field(min_length=1)]
    resolve: Literal["highest", "last"] = "highest"


class KeepLargestTable(PostTable):
    """Keep the largest pieces of every segment, or of all `together`; they touch by `faces`, or by `corners`, too."""

    step: Literal["keep_largest"]
    pieces: Count = 1
    together: bool = False
    touching: Literal["faces", "corners"] = "faces"


class MinimumVolumeTable(PostTable):
    """Drop pieces that are smaller."""

    step: Literal["minimum_volume"]
    volume_ml: Positive


class FillHolesTable(PostTable):
    """Fill what a segment encloses, in three dimensions or in every slice on its own."""

    step: Literal["fill_holes"]
    slicewise: bool = False


class ClosingTable(PostTable):
    """Close gaps narrower than the ball; background only is taken."""

    step: Literal["closing"]
    radius_mm: Positive


class OpeningTable(PostTable):
    """Drop what is narrower than the ball."""

    step: Literal["opening"]
    radius_mm: Positive


class MergeTable(PostTable):
    """Give the voxels of the segments to another."""

    step: Literal["merge"]
    into: Count


class MaskByTable(PostTable):
    """Keep what lies inside (or outside) another segment with all that this encloses, grown by a margin.

    With `whole`, a piece stays as a whole if any of it lies there.
    """

    step: Literal["mask_by"]
    by: Count
    keep: Literal["inside", "outside"] = "inside"
    margin_mm: NotNegative = 0.0
    whole: bool = False


class LesionsTable(PostTable):
    """Keep the largest piece of a segment under its number; the next go to the segments `into`, the rest is listed.

    With `certainty`, the mean probability over each is reported with it.
    """

    step: Literal["lesions"]
    segments: Annotated[tuple[Count, ...], Field(min_length=1, max_length=1)]
    into: tuple[Count, ...] = ()
    certainty: bool = False


AnyPost = Annotated[
    ArgmaxTable
    | ThresholdTable
    | KeepLargestTable
    | MinimumVolumeTable
    | FillHolesTable
    | ClosingTable
    | OpeningTable
    | MergeTable
    | MaskByTable
    | LesionsTable,
    Field(discriminator="step"),
]
