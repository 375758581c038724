"""Rules about acquisition and reconstruction, on headers as scanners and converters write them."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from dicomnode.infer.quality.acquisition import RULES
from tests.headers import item, multiframe, series


@pytest.mark.parametrize(
    ("rule", "limit", "attributes", "passed", "found"),
    [
        ("modality", ("CT",), {"Modality": "CT"}, True, "CT"),
        ("modality", ("CT", "MR"), {"Modality": "PT"}, False, "PT"),
        ("manufacturers", ("SIEMENS*",), {"Manufacturer": "Siemens Healthineers"}, True, "Siemens Healthineers"),
        ("manufacturers", ("SIEMENS",), {"Manufacturer": "Siemens Healthineers"}, False, "Siemens Healthineers"),
        ("manufacturers", ("GE*",), {"Manufacturer": ""}, None, "not stated"),
        ("convolution_kernels", ("b30f", "B31f"), {"ConvolutionKernel": "B30f"}, True, "B30f"),
        ("convolution_kernels", ("I3*",), {"ConvolutionKernel": "I30f\\3"}, True, "I30f and 3"),
        ("convolution_kernels", ("B3*",), {"ConvolutionKernel": "B70f"}, False, "B70f"),
        ("convolution_kernels", ("STANDARD",), {}, None, "not stated"),
        ("convolution_kernels_denied", ("B6*", "B7*"), {"ConvolutionKernel": "B30f"}, True, "B30f"),
        ("convolution_kernels_denied", ("LUNG", "BONE*"), {"ConvolutionKernel": "BONEPLUS"}, False, "BONEPLUS"),
        ("convolution_kernels_denied", ("FC[5]*",), {"ConvolutionKernel": "FC51"}, True, "FC51"),
        ("convolution_kernels_denied", ("LUNG",), {}, None, "not stated"),
        ("kvp", (80, 140), {"KVP": 120}, True, "120 kV"),
        ("kvp", (80, 140), {"KVP": [70, 70, 120, 120]}, False, "70 and 120 kV"),
        ("kvp", (80, 140), {"KVP": 0}, None, "not stated"),
        ("kvp", (80, 140), {"KVP": ""}, None, "not stated"),
        ("magnetic_field_strength_tesla", (1.4, 3.1), {"MagneticFieldStrength": 1.494}, True, "1.494 T"),
        ("magnetic_field_strength_tesla", (2.5, 3.1), {"MagneticFieldStrength": 1.5}, False, "1.5 T"),
        ("lossy_compression_ratio", 1, {}, True, "1 : 1"),
        ("lossy_compression_ratio", 1, {"LossyImageCompression": "00"}, True, "1 : 1"),
        ("lossy_compression_ratio", 1, {"LossyImageCompression": "01"}, False, "loss of unknown ratio"),
        ("lossy_compression_ratio", 8, {"LossyImageCompression": "01"}, None, "loss of unknown ratio"),
        (
            "lossy_compression_ratio",
            8,
            {"LossyImageCompression": "01", "LossyImageCompressionRatio": [4, 10, 4, 4]},
            False,
            "10 : 1",
        ),
    ],
)
def test_a_limit_of_the_acquisition(
    rule: str, limit: Any, attributes: dict[str, Any], passed: bool | None, found: str
) -> None:
    outcome = RULES[rule](series(**attributes), limit)
    assert (outcome.passed, outcome.found) == (passed, found)


def test_what_is_needed_is_told_in_words() -> None:
    needed = {
        rule: RULES[rule](series(), limit).needed
        for rule, limit in {
            "convolution_kernels": ("B30f", "B31f"),
            "convolution_kernels_denied": ("B6*", "B7*"),
            "kvp": (80, 140),
            "lossy_compression_ratio": 1,
        }.items()
    }
    assert needed == {
        "convolution_kernels": "B30f or B31f",
        "convolution_kernels_denied": "neither B6* nor B7*",
        "kvp": "80 to 140 kV",
        "lossy_compression_ratio": "1 : 1 or less",
    }


def test_the_functional_groups_of_an_enhanced_ct_are_read() -> None:
    enhanced = multiframe(
        {"CTReconstructionSequence": item(ConvolutionKernel="B70f")},
        [{"CTXRayDetailsSequence": item(KVP=kv)} for kv in (100, 120)],
    )
    assert RULES["convolution_kernels_denied"](enhanced, ("B7*",)).passed is False
    assert RULES["kvp"](enhanced, (80, 110)).found == "100 and 120 kV"


def test_a_value_that_breaks_the_standard_is_as_good_as_none() -> None:
    source = series()
    for plane in source.planes:
        raw = RawDataElement(Tag("KVP"), "DS", 6, b"120 kV", 0, False, True)
        plane.dataset[Tag("KVP")] = raw
    outcome = RULES["kvp"](source, (80, 140))
    assert (outcome.passed, outcome.found) == (None, "not stated")
