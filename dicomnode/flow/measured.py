"""What is measured of an answer's regions: size, intensity, radiomics, with what limits the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dicomnode.domain.finding import FeatureSet, Segmentation, SourceSeries
from dicomnode.domain.measuring import RadiomicsSpec
from dicomnode.domain.model import ModelSpec
from dicomnode.flow.batch import batch_of
from dicomnode.measure import intensity, radiomics, size
from dicomnode.measure.measured import Measured, joined


def measured(source: SourceSeries, found: Segmentation, model: ModelSpec) -> Measured:
    """Sizes and intensities of every present segment; nothing where the task finds none."""
    layers = [layer for layer in found.layers if layer.segments]
    return joined(
        (
            *(size.measure(source.volume, layer, model.measure) for layer in layers),
            *(intensity.measure(source.volume, layer, _modality(source), source.unit) for layer in layers),
        )
    )


def described(
    source: SourceSeries, found: Segmentation, model: ModelSpec, *, asked: bool, workers: int = 1
) -> tuple[FeatureSet, ...]:
    """Features where the bundle declares them, or of every segment where the rule asks; in so many processes."""
    sets: list[FeatureSet] = []
    for layer in found.layers:
        numbers = [segment.number for segment in layer.present() if asked or segment.radiomics]
        if numbers:
            sets += features(source, layer, numbers, model.radiomics, workers)
    return tuple(sets)


def features(
    source: SourceSeries, found: Segmentation, numbers: Sequence[int], spec: RadiomicsSpec, workers: int = 1
) -> tuple[FeatureSet, ...]:
    """Features of the segments with these numbers, harmonised where the bundle can."""
    known = spec.harmonisation
    batch = batch_of(source.datasets[0], known.batch_by) if known else None
    return radiomics.measure(
        source.volume, found, numbers, _modality(source), source.unit, spec=spec, workers=workers, batch=batch
    )


def limits(sets: Sequence[FeatureSet], found: Segmentation) -> Iterator[str]:
    """What a reader of features has to know: once where it holds for all, else with the name of the segment."""
    labels = {segment.number: segment.label for layer in found.layers for segment in layer.segments}
    shared = [text for text in sets[0].remarks if all(text in one.remarks for one in sets)] if sets else []
    yield from (f"radiomics: {text}" for text in shared)
    for one in sets:
        yield from (f"radiomics of {labels[one.segment_number]}: {text}" for text in one.remarks if text not in shared)


def _modality(source: SourceSeries) -> str:
    """Modality of a series, CT where it says none."""
    return str(source.datasets[0].get("Modality") or "CT")
