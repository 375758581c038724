"""The document on agreement with IBSI says what the node measures, and PET reference objects have their values."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import SimpleITK

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Segmentation
from dicomnode.domain.model import Segment
from dicomnode.infer.read.volume import read_series
from dicomnode.measure import intensity

ROOT = Path(__file__).resolve().parents[2]
OBJECTS = ("0_0", "1_0", "2_0", "2_4", "3_0", "3_1", "4_0", "4_1")


@pytest.fixture(scope="module")
def bench() -> Any:
    """The script that writes the document."""
    spec = importlib.util.spec_from_file_location("bench_ibsi", ROOT / "bench" / "ibsi.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def cells(line: str) -> list[Any]:
    """The cells of a table's row, numbers as such; else the line."""
    if not line.startswith("|"):
        return [line]
    return [_read(cell.strip()) for cell in line.strip("|").split("|")]


def _read(cell: str) -> Any:
    try:
        return float(cell)
    except ValueError:
        return cell


@pytest.mark.filterwarnings("ignore")  # pydicom warns of the real headers
def test_the_document_says_what_is_measured(bench: Any, real_data: Path) -> None:
    found = bench.document(real_data).splitlines()
    written = (ROOT / "docs" / "ibsi.md").read_text(encoding="utf-8").splitlines()
    assert len(found) == len(written)
    # The largest difference of rounding depends on the processor.
    lines = [(one, other) for one, other in zip(found, written, strict=True) if not one.startswith("LUNG1-002")]
    for line, expected in lines:
        for one, other in zip(cells(line), cells(expected), strict=True):
            # Six digits are written.
            assert one == (pytest.approx(other, rel=1e-5) if isinstance(other, float) else other), expected


@pytest.mark.filterwarnings("ignore")
def test_the_tumour_of_lung1_has_the_values_of_pyradiomics_2(bench: Any, real_data: Path) -> None:
    rows = bench.lung1(real_data)
    assert len(rows) == 100
    for row in rows:
        # The values were published with 15 digits.
        assert row.ours == pytest.approx(row.consensus, rel=1e-9), row.feature


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OBJECTS)
def test_reference_objects_of_uptake_have_their_values_within_a_thousandth(real_data: Path, name: str) -> None:
    folder = real_data / "ibsi_suv_dro" / "DRO" / f"DRO_{name}"
    source = read_series(sorted((folder / "PT").rglob("*.dcm")))
    image: Any = SimpleITK.ReadImage(str(next((folder / "mask").rglob("*.nii.gz"))))
    mask = (SimpleITK.GetArrayFromImage(image) > 0).astype("uint8")
    segment = Segment(
        number=1,
        label="object",
        category=Code(value="49755003", scheme="SCT", meaning="Morphologically Abnormal Structure"),
        type=Code(value="4147007", scheme="SCT", meaning="Mass"),
    )
    segmentation = Segmentation(volume=source.volume.with_array(mask), segments=(segment,))
    found = intensity.measure(source.volume, segmentation, "PT", source.unit)
    values = {row.derivation.meaning: row.value for row in found.measurements if row.derivation}
    # DRO_list.csv of the data set.
    assert values["Minimum"] == pytest.approx(0.20, rel=1e-3)
    assert values["Median"] == pytest.approx(1.00, rel=1e-3)
    assert values["Maximum"] == pytest.approx(4.00, rel=1e-3)
