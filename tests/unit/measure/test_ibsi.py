"""IBSI: its digital phantom, the codes of features, and image and mask prepared by its manual."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom import Volume
from numpy.typing import NDArray

from dicomnode.domain.finding import FeatureSet, Segmentation
from dicomnode.domain.measuring import RadiomicsSpec
from dicomnode.measure import radiomics
from dicomnode.measure.features import standard
from dicomnode.measure.features.classes import intensity_features
from dicomnode.measure.features.frame import Frame
from dicomnode.measure.ibsi import FEATURES

from .conftest import SPACING_MM, segmentation_of, volume_of

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = ROOT / "docs" / "ibsi.md"

#: The digital phantom of IBSI chapter 1 (https://github.com/theibsi/data_sets, CC BY 4.0), slice by slice; a minus
#: marks voxels that are not of the region.
DIGITAL_PHANTOM = """
 1  4  4  1  1 |  1  4  6  1  1 |  4  1  6  4  1 |  4  4  6  4  1
 1  4  4  1  1 |  1  1  6  1  1 | -1  1  3  1  1 |  4  4  6  1  1
 1  4  4 -1 -1 |  1  1  1  1  1 |  1  1 -9  1  1 |  1  1  6  1  1
 1  4  4 -1 -1 |  1  1  1  1  1 |  1  1  1  1  1 |  1  1  6  1  1
"""


def digital_phantom() -> tuple[Volume, Segmentation]:
    """With a border of one voxel, so that its region is seen to end within the image."""
    rows = [[row.split() for row in line.split("|")] for line in DIGITAL_PHANTOM.strip().splitlines()]
    found = np.pad(np.array(rows, dtype=np.int16), 1)
    spacing_mm = (2.0, 2.0, 2.0)
    return volume_of(np.abs(found), spacing_mm), segmentation_of((found > 0).astype(np.uint8), spacing_mm, described=1)


def documented(heading: str) -> list[dict[str, str]]:
    """Rows of a table of the document; of columns with one name the first."""
    text = DOCUMENT.read_text(encoding="utf-8")
    lines = [line for line in text.partition(f"## {heading}")[2].partition("\n## ")[0].splitlines() if line[:1] == "|"]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(reversed(list(zip(cells[0], row, strict=True)))) for row in cells[2:]]


def by_code(features: FeatureSet) -> dict[str, float]:
    return {row.name.value: row.value for row in features.measurements if row.name.scheme == "IBSI"}


@pytest.mark.parametrize("ibsi", [True, False])
@pytest.mark.parametrize(
    ("heading", "force2d"), [("dig: digital phantom, 3D", False), ("dig: digital phantom, 2.5D", True)]
)
def test_the_digital_phantom_has_the_consensus_of_ibsi(heading: str, force2d: bool, ibsi: bool) -> None:
    settings = {"binWidth": 1, "force2D": force2d}
    (averaged,) = radiomics.measure(*digital_phantom(), [1], spec=RadiomicsSpec(settings=settings, ibsi=ibsi))
    merged_spec = RadiomicsSpec(settings=settings | {"weightingNorm": "no_weighting"}, ibsi=ibsi)
    (merged,) = radiomics.measure(*digital_phantom(), [1], spec=merged_spec)
    rows = documented(heading)
    assert len(rows) == 141
    for row in rows:
        found = by_code(merged if row["aggregation"] == "merged" else averaged)[row["IBSI"]]
        assert f"{found:.3g}" == f"{float(row['ours']):.3g}", row
        tolerance, consensus = float(row["tolerance"]), float(row["consensus"])
        if tolerance:
            assert abs(found - consensus) <= tolerance, row
        else:
            assert f"{found:.3g}" == f"{consensus:.3g}", row


def test_a_code_of_ibsi_stands_only_where_the_document_says_match() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    rows = [row for heading in headings if not heading.startswith("Sarcoma") for row in documented(heading)]
    matched = {row["IBSI"] for row in rows if row["match"] == "yes"}
    (features,) = radiomics.measure(*digital_phantom(), [1], spec=RadiomicsSpec(settings={"binWidth": 1}))
    assert set(by_code(features)) == matched
    assert not [row for row in rows if row["match"] == "no"]


def test_the_table_of_codes_is_the_one_that_was_checked_against_the_standard() -> None:
    path = ROOT.parent / "shared" / "codes" / "pyradiomics_ibsi_dicom.tsv"
    if not path.exists():
        pytest.skip("the checked table of codes is not here")
    with path.open(newline="") as file:
        given = {row["pyradiomics"]: row for row in csv.DictReader(file, delimiter="\t")}
    for feature, (code, _, _) in FEATURES.items():
        assert given[feature]["code"] == code, feature
    coded = {name for name, row in given.items() if row["code"].strip()}
    assert set(FEATURES) <= coded


RESAMPLED = {"binWidth": 25, "resampledPixelSpacing": [1, 1, 2], "interpolator": "sitkLinear"}


@pytest.mark.parametrize(
    ("settings", "lost"),
    [
        ({"binWidth": 25}, ()),
        ({"binCount": 16, "force2D": True}, ()),
        ({"binWidth": 25, "weightingNorm": "no_weighting"}, ()),
        (RESAMPLED, ("shape", "firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")),
        ({"binWidth": 0.1, "normalize": True}, ("firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")),
        ({"binWidth": 25, "weightingNorm": "euclidean"}, ("glcm", "glrlm")),
        ({"binWidth": 25, "distances": [1, 2]}, ("glcm", "gldm", "ngtdm")),
        ({"binWidth": 25, "gldm_a": 1}, ("gldm",)),
        ({"binWidth": 25, "symmetricalGLCM": False}, ("glcm",)),
    ],
)
def test_settings_without_a_match_have_private_codes_and_the_values_of_pyradiomics(
    phantom: tuple[Volume, Segmentation], settings: dict[str, Any], lost: tuple[str, ...]
) -> None:
    (features,) = radiomics.measure(*phantom, [1], spec=RadiomicsSpec(settings=settings))
    known = {name.removeprefix("original_") for name in features.values} & set(FEATURES)
    kept = {name for name in known if not name.startswith(lost)} if lost else known
    assert set(by_code(features)) == {FEATURES[name][0] for name in kept}
    private = {row.name.meaning: row.value for row in features.measurements if row.name.scheme == "99DICOMNODE"}
    assert private == {f"original_{name}": features.values[f"original_{name}"] for name in known - kept}


def test_resampling_by_the_manual_keeps_the_codes_and_says_so(phantom: tuple[Volume, Segmentation]) -> None:
    spec = RadiomicsSpec(
        settings={**RESAMPLED, "resegmentRange": [-90, 90]},
        classes=("shape", "firstorder"),
        ibsi=True,
        outliers_sigma=2.5,
    )
    (features,) = radiomics.measure(*phantom, [1], spec=spec)
    assert {row.name.scheme for row in features.measurements} == {"IBSI"}
    stated = json.loads(features.settings)["reporting"]
    assert stated["interpolation"]["grid"] == "aligned with the centre of the image"
    assert stated["interpolation"]["intensityRounding"] == "to integers"
    assert stated["resegmentation"].startswith("absolute range [-90, 90], then within 2.5 standard deviations")
    assert stated["discretisation"].startswith("fixed bin size, 25, from -90 on")
    (other,) = radiomics.measure(*phantom, [1], modality="MR", spec=spec)
    assert json.loads(other.settings)["reporting"]["interpolation"]["intensityRounding"] == "none"


def frame_of(array: NDArray[Any], mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> Frame:
    return Frame(
        array=array,
        box=(slice(0, mask.shape[0]), slice(0, mask.shape[1]), slice(0, mask.shape[2])),
        mask=mask,
        spacing_mm=spacing_mm,
    )


# A cubic spline knows no ramp at the edge of an image, whose mirror image goes on there.
@pytest.mark.parametrize(
    ("interpolator", "at"), [("sitkLinear", (4, 5, 6)), ("sitkLinear", (70, 80, 90)), ("sitkBSpline", (45, 46, 55))]
)
def test_a_ramp_stays_a_ramp_on_a_grid_about_the_same_centre(interpolator: str, at: tuple[int, int, int]) -> None:
    shape, spacing_mm, new_mm = (100, 101, 120), SPACING_MM, (2.0, 1.1, 0.9)
    axes = [(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, spacing_mm, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    array = 3 * z - 2 * y + x
    box = tuple(slice(start, start + 8) for start in at)
    frame = Frame(array=array, box=(box[0], box[1], box[2]), mask=np.ones((8, 8, 8), dtype=bool), spacing_mm=spacing_mm)
    settings = {"resampledPixelSpacing": list(new_mm[::-1]), "interpolator": interpolator}
    found = standard.framed(frame, settings)
    assert found.spacing_mm == new_mm
    values = found.array[found.box]
    steps = [np.diff(values, axis=axis) for axis in range(3)]
    for step, slope, mm in zip(steps, (3, -2, 1), new_mm, strict=True):
        assert step == pytest.approx(np.full(step.shape, slope * mm), abs=1e-6)
    sizes = [int(np.ceil(round(n * old / new, 3))) for n, old, new in zip(shape, spacing_mm, new_mm, strict=True)]
    lengths = [(n - 1) / 2 for n in sizes]
    # A grid point lies a whole or half number of steps from the centre, where the ramp is 0.
    axis_steps = [(np.arange(n) - middle) * mm for n, middle, mm in zip(sizes, lengths, new_mm, strict=True)]
    every = 3 * axis_steps[0][:, None, None] - 2 * axis_steps[1][None, :, None] + axis_steps[2][None, None, :]
    assert np.abs(every - values[0, 0, 0]).min() == pytest.approx(0, abs=1e-6)


def test_sixty_slices_of_three_millimetres_become_ninety_of_two() -> None:
    array = np.zeros((60, 3, 3))
    found = standard.framed(
        frame_of(array, np.ones(array.shape, dtype=bool), (3.0, 1.0, 1.0)),
        {"resampledPixelSpacing": [1, 1, 2], "interpolator": "sitkLinear"},
    )
    assert found.array.shape == (90, 3, 3)
    assert found.mask.all()


def test_a_voxel_is_of_the_region_from_one_half_on() -> None:
    mask = np.zeros((1, 1, 6), dtype=bool)
    mask[0, 0, 2:4] = True
    # Twice as many voxels: their centres lie a quarter of an old voxel from the old ones, shares 3/4 and 1/4.
    found = standard.framed(
        frame_of(np.zeros(mask.shape), mask, (1.0, 1.0, 1.0)),
        {"resampledPixelSpacing": [0.5, 1, 1], "interpolator": "sitkLinear"},
    )
    assert found.box[2] == slice(4, 8)
    assert found.mask.all()


def test_outliers_leave_after_the_range() -> None:
    array = np.array([[[0.0, 1, 2, 3, 4, 5, 6, 7, 8, 60, 5000]]])
    frame = frame_of(array, np.ones(array.shape, dtype=bool), (1.0, 1.0, 1.0))
    kept = standard.kept(frame, {"resegmentRange": [0, 100], "label": 1, "outliersSigma": 2.0})
    assert array[kept].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    with pytest.raises(ValueError, match="at most one voxel"):
        standard.kept(frame, {"outliersSigma": 1e-9})


def test_bins_begin_at_the_lower_limit_of_resegmentation() -> None:
    image = np.array([[[10, 34, 35, 60]]])
    mask = np.ones(image.shape, dtype=bool)
    settings = standard.anchored({"ibsi": True, "resegmentRange": [-15, 100], "binWidth": 25})
    found = intensity_features(image, mask, (1.0, 1.0, 1.0), ("glcm",), settings)
    # By IBSI's formula floor((x + 15) / 25) + 1 the grey levels are 2, 2, 3, 4; pairs in a row average 2.667.
    assert found.values["glcm_JointAverage"] == pytest.approx((2 + 2 + 2 + 3 + 3 + 4) / 6)
    for other in (
        {"resegmentRange": [-15, 100]},
        {"ibsi": True},
        {"ibsi": True, "resegmentRange": [-3, 3], "resegmentMode": "sigma"},
    ):
        assert "binOrigin" not in standard.anchored(other)
