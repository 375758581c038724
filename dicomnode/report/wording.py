"""Values with their units as people read them: the one formatter of pictures and printed pages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Measurement

_MINUS = "\N{MINUS SIGN}"

#: UCUM unit → how people write it, and the decimals that its measurement can bear. Volumes are treated apart.
#: Diameters to a tenth of a millimetre and whole Hounsfield units are what radiology reports give.
_UNITS = {
    "mm": ("mm", 1),
    "mm2": ("mm²", 0),
    "mm3": ("mm³", 0),
    "cm": ("cm", 1),
    "cm2": ("cm²", 1),
    "/mm": ("/mm", 3),
    "[hnsf'U]": ("HU", 0),
    "%": ("%", 1),
    "deg": ("°", 1),
    "s": ("s", 1),
    "a": ("years", 0),
    "bit": ("bit", 2),
    "Bq/ml": ("Bq/ml", 0),
    "{counts}": ("counts", 0),
    "um2/s": ("µm²/s", 0),
    "10-6.mm2/s": ("×10⁻⁶ mm²/s", 0),
}

_VOLUMES = frozenset({"cm3", "ml", "mL"})

#: On these scales zero is a value like any other; on the others a value that rounds to zero reads "< 0.1".
_WITH_NEGATIVES = frozenset({"[hnsf'U]", "deg", "1", "%"})

#: Figures of a number whose unit says nothing of its accuracy.
_FIGURES = 3


def value_text(value: float, unit: str) -> str:
    """A number and its unit, rounded for reading; whoever sorts values into categories uses the number itself.

    Parameters
    ----------
    unit
        UCUM code: `cm3` becomes ml, `[hnsf'U]` whole HU, `mm` has one decimal, SUV two; `1` shows no unit.
    """
    if not math.isfinite(value):
        return "not defined"
    if unit in _VOLUMES:
        return _measured(value, _decimals_of_volume(value), "ml")
    if "SUV" in unit:
        return _measured(value, 2, unit[unit.index("{") + 1 : unit.index("}")] if "{" in unit else "SUV")
    if unit in _UNITS:
        name, decimals = _UNITS[unit]
        if unit in _WITH_NEGATIVES:
            return f"{number_text(value, decimals)} {name}"
        return _measured(value, decimals, name)
    text = _significant(value)
    return text if unit == "1" else f"{text} {unit}"


def measurement_text(measurement: Measurement) -> str:
    """Value and unit of one measurement."""
    return value_text(measurement.value, measurement.unit.value)


def measurement_name(measurement: Measurement) -> str:
    """What was measured, with how it sums up many values: `Attenuation Coefficient, mean`."""
    name = measurement.name.meaning
    return f"{name}, {measurement.derivation.meaning.lower()}" if measurement.derivation else name


def measurement_names(measurements: Sequence[Measurement]) -> list[str]:
    """The name of each, with the method where a segment has two of a name: `Metabolic Volume (Voxels from 2.5)`."""
    said = Counter((one.segment_number, measurement_name(one)) for one in measurements)
    repeated = {name for (_, name), count in said.items() if count > 1}
    return [
        f"{name} ({one.method.meaning})" if (name := measurement_name(one)) in repeated and one.method else name
        for one in measurements
    ]


def probability_text(probability: float) -> str:
    """A probability from 0 to 1 in percent; what is neither certain nor impossible does not read as if it were."""
    if not math.isfinite(probability):
        return "not defined"
    if 0 < probability < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= probability < 1:
        return "> 99.9 %"
    return f"{number_text(100 * probability, 1)} %"


def answer_text(answer: Code, probability: float) -> str:
    """One answer of a classifier with its probability."""
    return f"{answer.meaning} {probability_text(probability)}"


def number_text(value: float, decimals: int) -> str:
    """A number with a fixed count of decimals and a true minus sign; never minus zero."""
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", _MINUS)


def _measured(value: float, decimals: int, unit: str) -> str:
    """A quantity that is there even where it is too small to show."""
    step = 10.0**-decimals
    if 0 < value < step / 2:
        return f"< {step:.{decimals}f} {unit}"
    return f"{number_text(value, decimals)} {unit}"


def _decimals_of_volume(value: float) -> int:
    """About three figures: whole ml from 100 ml on, thousandths below one."""
    size = abs(value)
    return 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3


def _significant(value: float) -> str:
    """At least three figures, and no more decimals than these need; as a power of ten where that would be long."""
    size = abs(value)
    if size == 0:
        return "0"
    if not 1e-4 <= size < 1e7:
        mantissa, exponent = f"{value:.{_FIGURES - 1}e}".split("e")
        return f"{mantissa}×10{_superscript(int(exponent))}".replace("-", _MINUS)
    decimals = max(0, _FIGURES - 1 - math.floor(math.log10(size)))
    text = f"{value:.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", _MINUS)


def _superscript(number: int) -> str:
    return str(number).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
