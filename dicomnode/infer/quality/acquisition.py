"""Rules about how images were acquired and reconstructed: modality, maker, kernel, voltage, field, compression."""

from __future__ import annotations

from collections.abc import Mapping

from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.quality.outcome import Outcome, Rule, at_most, none_of, one_of, within
from dicomnode.infer.quality.tags import numbers, texts


def modality(source: SourceSeries, limit: tuple[str, ...]) -> Outcome:
    """Modality is one of those named."""
    return one_of(texts(source, "Modality"), limit)


def manufacturers(source: SourceSeries, limit: tuple[str, ...]) -> Outcome:
    """Manufacturer is one of those named; `SIEMENS*` stands for every name that begins so."""
    return one_of(texts(source, "Manufacturer"), limit)


def convolution_kernels(source: SourceSeries, limit: tuple[str, ...]) -> Outcome:
    """A value of Convolution Kernel is one of those named; `B3*` stands for every kernel that begins so.

    Siemens writes the strength of iterative reconstruction as a second value; PS3.6 allows several in CT images,
    while enhanced ones have one (PS3.3 C.8.15.3.7).
    """
    return one_of(texts(source, "ConvolutionKernel"), limit)


def convolution_kernels_denied(source: SourceSeries, limit: tuple[str, ...]) -> Outcome:
    """No value of Convolution Kernel is one of those named."""
    return none_of(texts(source, "ConvolutionKernel"), limit)


def kvp(source: SourceSeries, limit: tuple[float, float]) -> Outcome:
    """The tube's peak voltage lies in the range, for every slice."""
    return within(sorted(set(numbers(source, "KVP"))), limit, "kV")


def magnetic_field_strength_tesla(source: SourceSeries, limit: tuple[float, float]) -> Outcome:
    """The magnet's nominal field lies in the range; scanners write 1.494 or 2.89 for it, so state the range widely."""
    return within(sorted(set(numbers(source, "MagneticFieldStrength"))), limit, "T")


def lossy_compression_ratio(source: SourceSeries, limit: float) -> Outcome:
    """The images were never compressed with loss by more than this ratio; 1 allows no loss (PS3.3 C.7.6.1.1.5).

    An object that does not speak of lossy compression was not compressed so: the attribute is required then.
    """
    if "01" not in texts(source, "LossyImageCompression"):
        return at_most(1.0, limit, ": 1")
    ratios = numbers(source, "LossyImageCompressionRatio")
    if ratios:
        return at_most(max(ratios), limit, ": 1")
    outcome = at_most(1.0, limit, ": 1")
    # Loss of unknown size is more than none, but may be less than any other limit.
    return Outcome(found="loss of unknown ratio", needed=outcome.needed, passed=False if limit <= 1 else None)


RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        modality,
        manufacturers,
        convolution_kernels,
        convolution_kernels_denied,
        kvp,
        magnetic_field_strength_tesla,
        lossy_compression_ratio,
    )
}
