"""Bytes of a file, and the boundary towards the encoding libraries."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from io import BytesIO

import highdicom
import pydicom
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian

from dicomnode.domain.errors import EncodingError
from dicomnode.report.boundary import FOREIGN, encoding
from dicomnode.report.encode import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, to_bytes


def small() -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.22", "1.2.3"
    return ds


def test_bytes_are_a_dicom_file_with_our_implementation() -> None:
    encoded = to_bytes(small())
    assert encoded[128:132] == b"DICM"
    meta = dcmread(BytesIO(encoded)).file_meta
    assert meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert IMPLEMENTATION_CLASS_UID.is_valid
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16


def test_an_object_without_sop_class_is_an_encoding_error() -> None:
    ds = small()
    del ds.SOPClassUID
    with pytest.raises(EncodingError, match=r"object 1\.2\.3: found AttributeError"):
        to_bytes(ds)


def test_every_exception_that_the_libraries_define_is_mapped() -> None:
    unmapped = []
    for root in (highdicom, pydicom):
        for module in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
            if ".cli" in module.name or ".examples" in module.name:
                continue
            loaded = importlib.import_module(module.name)
            unmapped += [
                f"{module.name}.{name}"
                for name, kind in inspect.getmembers(loaded, inspect.isclass)
                if issubclass(kind, Exception) and kind.__module__ == module.name and not issubclass(kind, FOREIGN)
            ]
    assert unmapped == []


def test_an_error_of_ours_passes_the_boundary_unchanged() -> None:
    ours = EncodingError("already said")
    with pytest.raises(EncodingError) as raised, encoding("anything"):
        raise ours
    assert raised.value is ours


def test_a_bug_outside_the_libraries_vocabulary_is_not_hidden() -> None:
    with pytest.raises(RecursionError), encoding("anything"):
        raise RecursionError
