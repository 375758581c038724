"""A batch is named by what the headers say."""

from __future__ import annotations

import pytest
from pydicom import Dataset, Sequence
from pydicom.datadict import tag_for_keyword

from dicomnode.flow.batch import BATCH_BY, batch_of


@pytest.mark.parametrize(
    ("kernel", "name"), [("B30f", "Force | B30f"), (["B30f", "3"], "Force | B30f\\3"), ("", None), (None, None)]
)
def test_the_values_of_the_keywords_name_the_batch(kernel: object, name: str | None) -> None:
    header = Dataset()
    header.ManufacturerModelName = "Force"
    if kernel is not None:
        header.ConvolutionKernel = kernel
    assert batch_of(header, ("ManufacturerModelName", "ConvolutionKernel")) == name


def test_a_number_names_the_same_batch_however_it_is_written() -> None:
    names = set()
    for written in ("1.5", "1.50", " 1.500"):
        header = Dataset()
        header.ManufacturerModelName, header.MagneticFieldStrength = "Avanto", written
        header.ScanningSequence, header.SequenceVariant = "SE", ["SK", "SP"]
        names.add(batch_of(header, BATCH_BY["MR"]))
    assert names == {"Avanto | 1.5 | SE | SK\\SP"}


def test_every_default_is_a_keyword_of_dicom() -> None:
    assert all(tag_for_keyword(keyword) for keywords in BATCH_BY.values() for keyword in keywords)


def enhanced(*kernels: str, shared: str = "") -> Dataset:
    """An Enhanced CT whose frames name their kernels in CT Reconstruction (PS3.3 C.8.15.3.6)."""

    def group(kernel: str) -> Dataset:
        item, macro = Dataset(), Dataset()
        macro.ConvolutionKernel = [kernel]
        item.CTReconstructionSequence = Sequence([macro])
        return item

    ds = Dataset()
    ds.ManufacturerModelName = "Force"
    ds.SharedFunctionalGroupsSequence = Sequence([group(shared) if shared else Dataset()])
    ds.PerFrameFunctionalGroupsSequence = Sequence([group(one) if one else Dataset() for one in kernels])
    return ds


def test_an_enhanced_object_names_its_batch_where_all_its_frames_agree() -> None:
    keywords = BATCH_BY["CT"]
    assert batch_of(enhanced("", "", shared="Br40d"), keywords) == "Force | Br40d"
    assert batch_of(enhanced("Br40d", "Br40d"), keywords) == "Force | Br40d"
    assert batch_of(enhanced("Br40d", "Bl57d"), keywords) is None
    assert batch_of(enhanced("Br40d", ""), keywords) is None
    assert batch_of(enhanced("", ""), keywords) is None
