"""The feature set of one region from what its shape and its images gave."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Absent, FeatureSet
from dicomnode.domain.measuring import RadiomicsSpec
from dicomnode.measure import codes
from dicomnode.measure.features import coded
from dicomnode.measure.features.classes import Computed
from dicomnode.measure.features.harmonised import harmonised
from dicomnode.measure.features.plan import Plan, Refusal
from dicomnode.measure.mesh import CUT_OFF

_SHAPE = "shape_"

#: What the mesh tells; volume by voxels and lengths of axes come from the voxels.
_OF_MESH = frozenset(
    f"shape_{name}"
    for name in (
        "MeshVolume", "SurfaceArea", "SurfaceVolumeRatio", "Sphericity", "Maximum3DDiameter", "Maximum2DDiameterSlice",
        "Maximum2DDiameterRow", "Maximum2DDiameterColumn",
    )
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Gathered:
    """What one region has given so far.

    Attributes
    ----------
    computed
        By image, in the order of pyradiomics; the shape stands with the original image.
    missing
        Image → why it could not be made.
    """

    computed: dict[str, list[Computed]] = field(default_factory=dict)
    missing: dict[str, tuple[Code, str]] = field(default_factory=dict)

    def add(self, image: str, found: Computed) -> None:
        """One answer."""
        self.computed.setdefault(image, []).append(found)

    def values(self) -> dict[tuple[str, str], float]:
        """The values that are numbers, by image and feature."""
        return {
            (image, feature): value
            for image, answers in self.computed.items()
            for answer in answers
            for feature, value in answer.values.items()
            if math.isfinite(value)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What all regions of a series have in common.

    Attributes
    ----------
    settings_text
        All settings for the report.
    """

    modality: str
    unit: str
    batch: str | None
    spec: RadiomicsSpec
    settings_text: str


def feature_set(
    number: int, plan: Plan, gathered: Gathered, changed: Sequence[Gathered], context: Context
) -> FeatureSet:
    """Values, codes, what is absent, and what a reader has to know.

    Parameters
    ----------
    changed
        The same for the grown and the shrunk mask, where asked for.
    """
    plain = gathered.values()
    named = {_name(key): key for key in plain}
    values, moved, remark = harmonised(
        {_name(key): value for key, value in plain.items()}, context.spec.harmonisation, context.batch
    )
    untold = _untold(plan, gathered)
    measured = coded.measurements(
        number,
        {named[name]: value for name, value in values.items() if named[name] not in untold},
        context.modality,
        context.unit,
        plan.settings,
        voxels=int(plan.shape.mask.sum()),
        harmonised={named[name] for name in moved},
    )
    change = _contour_change(plain, changed)
    return FeatureSet(
        segment_number=number,
        measurements=tuple(measured),
        software=_software(),
        settings=context.settings_text,
        values=values,
        absent=tuple(_absences(number, plan, gathered, untold, context)),
        remarks=tuple(
            text for text in (*plan.remarks, *_on_images(gathered), remark, *_on_contour(context, change)) if text
        ),
        contour_change=change,
    )


def refused(number: int, refusal: Refusal, context: Context) -> FeatureSet:
    """The feature set of a region that has none."""
    return FeatureSet(
        segment_number=number,
        measurements=(),
        software=_software(),
        settings=context.settings_text,
        absent=(coded.absent(number, coded.group(""), refusal.reason, refusal.text),),
        remarks=(f"no features: {refusal.text}",),
    )


def _untold(plan: Plan, gathered: Gathered) -> dict[tuple[str, str], tuple[Code, str]]:
    """Features whose values are not told, each with the reason."""
    found: dict[tuple[str, str], tuple[Code, str]] = {}
    for image, answers in gathered.computed.items():
        for answer in answers:
            found |= {(image, feature): (reason, text) for feature, reason, text in coded.undefined(answer)}
            for feature in answer.values:
                if plan.at_border and feature.startswith(_SHAPE):
                    found[image, feature] = codes.INDETERMINATE, CUT_OFF
                elif plan.thin and feature in _OF_MESH:
                    found[image, feature] = codes.INDETERMINATE, plan.thin
    return found


def _absences(
    number: int,
    plan: Plan,
    gathered: Gathered,
    untold: Mapping[tuple[str, str], tuple[Code, str]],
    context: Context,
) -> list[Absent]:
    rows = []
    for (image, feature), (reason, text) in untold.items():
        concept = coded.concept(image, feature, context.modality, context.unit, plan.settings)
        if concept:
            rows.append(coded.absent(number, concept, reason, text))
    rows += [coded.absent(number, coded.group(image), *why) for image, why in gathered.missing.items()]
    return rows


def _on_images(gathered: Gathered) -> list[str]:
    return [f"no features of image {image}: {text}" for image, (_, text) in gathered.missing.items()]


def _on_contour(context: Context, change: Mapping[str, float]) -> list[str]:
    if not context.spec.perturb:
        return []
    if not change:
        return ["how features depend on the contour is not known: the mask cannot be grown or shrunk by one voxel"]
    median = sorted(change.values())[len(change) // 2]
    return [f"a contour one voxel wider or narrower changes half of the features by more than {100 * median:.0f} %"]


def _contour_change(plain: Mapping[tuple[str, str], float], changed: Sequence[Gathered]) -> dict[str, float]:
    """Where a value is 0, or none of a changed mask, no relative change is told."""
    others = [gathered.values() for gathered in changed]
    found = {}
    for key, value in plain.items():
        differences = [abs(other[key] - value) for other in others if key in other]
        if differences and value:
            found[_name(key)] = max(differences) / abs(value)
    return found


def _name(key: tuple[str, str]) -> str:
    return "_".join(key)


def _software() -> str:
    return f"pyradiomics {version('pyradiomics')}"


def merged_settings(defaults: Mapping[str, Any], spec: RadiomicsSpec) -> dict[str, Any]:
    """pyradiomics' settings with those of the bundle; one region is one label here."""
    return {**defaults, **spec.settings, "label": 1}
