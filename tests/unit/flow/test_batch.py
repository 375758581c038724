"""A batch is named by what the headers say."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from dicomnode.flow.batch import batch_of


@pytest.mark.parametrize(
    ("kernel", "name"), [("B30f", "Force | B30f"), (["B30f", "3"], "Force | B30f\\3"), ("", None), (None, None)]
)
def test_the_values_of_the_keywords_name_the_batch(kernel: object, name: str | None) -> None:
    header = Dataset()
    header.ManufacturerModelName = "Force"
    if kernel is not None:
        header.ConvolutionKernel = kernel
    assert batch_of(header, ("ManufacturerModelName", "ConvolutionKernel")) == name
