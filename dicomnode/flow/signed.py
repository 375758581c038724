"""From regions to the score of a signature: measure what it names, ask the headers for the rest, compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import FeatureSet, Segmentation, SourceSeries
from dicomnode.domain.measuring import RadiomicsSpec
from dicomnode.domain.model import ModelSpec, Segment, Subject
from dicomnode.domain.signature import SignatureFeature, SignatureSpec, Summary
from dicomnode.flow.clinical import clinical
from dicomnode.flow.measured import features, limits
from dicomnode.infer.bundle.radiomics import feature_parts
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.signature import Scored, scored
from dicomnode.measure import signature as regions
from dicomnode.measure.region import Region

_TOLD_BY_HEADERS = "the headers do not tell"


def signed(found: Segmentation, sources: Sequence[SourceSeries], model: ModelSpec, sessions: Sessions) -> Scored:
    """The score of a model's signature; nothing where it has none.

    Parameters
    ----------
    found
        The regions, on the grid of the first source.

    Raises
    ------
    Unsuitable
        If there is no lesion to measure, or a feature is missing that the bundle does not impute.
    ModelError
        If the network is at fault.
    """
    spec = model.signature
    if spec is None:
        return Scored()
    numbers = _lesion_numbers(found, model)
    lesions = regions.lesions(sources[0].volume, found, numbers, spec.minimum_volume_ml)
    if not lesions:
        labels = " or ".join(dict.fromkeys(one.label for one in _segments(found) if one.number in numbers)) or "lesion"
        least = f" of {spec.minimum_volume_ml:g} ml or more" if spec.minimum_volume_ml else ""
        raise Unsuitable(f"model {model.name}: no {labels}{least} found, so there is nothing to compute the score from")
    values: dict[SignatureFeature, float | str] = {}
    every: list[FeatureSet] = []
    told = clinical(spec.clinical, sources)
    values.update({one: told.get(one.name, _TOLD_BY_HEADERS) for one in spec.features if not one.mask})
    for mask in dict.fromkeys(one.mask for one in spec.features if one.mask):
        asked = [one for one in spec.features if one.mask == mask]
        # The largest comes first; the others are measured only where their values count.
        needed = lesions[:1] if all(one.summary is Summary.LARGEST for one in asked) else lesions
        sets = [_measured(mask, found, sources[0], lesion, numbers, asked, model, spec) for lesion, _ in needed]
        every += [one for one in sets if one is not None]
        volumes = [ml for _, ml in needed]
        values.update({one: _summed(one, sets, volumes) for one in asked})
    result = scored(values, model, sessions)
    said = dict.fromkeys((*result.statements, _counted(lesions, spec), *limits(every, found)))
    return replace(result, statements=tuple(said))


def _lesion_numbers(found: Segmentation, model: ModelSpec) -> tuple[int, ...]:
    """The segments that are lesions: those that the cascade names, else what is one by its subject, else all."""
    if model.cascade is not None and model.cascade.segments:
        return model.cascade.segments
    every = _segments(found)
    return tuple(one.number for one in every if one.subject is not Subject.STRUCTURE) or tuple(
        one.number for one in every
    )


def _segments(found: Segmentation) -> tuple[Segment, ...]:
    return tuple(one for layer in found.layers for one in layer.segments)


def _measured(
    mask: str,
    found: Segmentation,
    source: SourceSeries,
    lesion: Region,
    numbers: Sequence[int],
    asked: Sequence[SignatureFeature],
    model: ModelSpec,
    spec: SignatureSpec,
) -> FeatureSet | None:
    """The features of one region of one lesion; None where it is empty or too small for any."""
    alone = regions.region(mask, source.volume, found, lesion, numbers, spec, model.measure)
    if not alone.present():
        return None
    sets = features(source, alone, [lesion.segment.number], _only(asked, model.radiomics))
    return sets[0] if sets else None


def _only(asked: Sequence[SignatureFeature], spec: RadiomicsSpec) -> RadiomicsSpec:
    """The settings without the image types and classes that no feature needs."""
    pairs = [feature_parts(one.name) for one in asked]
    types: Mapping[str, Mapping[str, object]] = {
        name: own for name, own in spec.image_types.items() if name in {type_ for type_, _ in pairs}
    }
    return replace(spec, image_types=types, classes=tuple(dict.fromkeys(kind for _, kind in pairs)), perturb=False)


def _summed(feature: SignatureFeature, sets: Sequence[FeatureSet | None], volumes_ml: Sequence[float]) -> float | str:
    """One value of all lesions that count, or why there is none: one unknown among them leaves the whole unknown."""
    counted = 1 if feature.summary is Summary.LARGEST else len(sets)
    values = []
    for one in sets[:counted]:
        if one is None:
            return "the region is empty or too small"
        if feature.name not in one.values:
            return next((absent.text for absent in one.absent), "not defined for this region")
        values.append(one.values[feature.name])
    return regions.summed(values, volumes_ml[:counted], feature.summary)


def _counted(lesions: Sequence[tuple[Region, float]], spec: SignatureSpec) -> str:
    """On how many lesions the score rests."""
    ways = {one.summary for one in spec.features if one.mask}
    if ways == {Summary.LARGEST} and len(lesions) > 1:
        largest, volume_ml = lesions[0]
        return f"Computed from {largest.segment.label}, the largest of {len(lesions)} lesions ({volume_ml:.2f} ml)."
    return f"Computed from {len(lesions)} lesion{'s' if len(lesions) > 1 else ''}."
