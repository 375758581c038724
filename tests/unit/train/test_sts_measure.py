"""Baselines, crops and intervals of the sarcoma model against values that are known."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from highdicom import Volume
from pydicom import Dataset

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import SourceSeries, planes_of
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.quality.gate import check, require
from dicomnode.train.sts_bundle import NAME, write_bundle
from dicomnode.train.sts_card import Run, write_card
from dicomnode.train.sts_cases import Case
from dicomnode.train.sts_dicom import Examined
from dicomnode.train.sts_measure import METHODS, Row, crop_alone, interval, narrowed, stray, threshold
from dicomnode.train.sts_tables import sensitivity

SPACING_MM = (4.0, 5.0, 5.0)


def _volume(array: np.ndarray, spacing_mm: tuple[float, float, float] = SPACING_MM) -> Volume:  # type: ignore[type-arg]
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing_mm
    affine[3, 3] = 1
    return Volume(array.astype(np.float32), affine, coordinate_system="PATIENT")


@pytest.fixture
def case() -> Case:
    """A tumour of SUV 10 with a rim of 5, 5 cm from every border, and a bladder of SUV 40 in a corner."""
    pet = np.ones((40, 36, 32))
    pet[13:27, 11:25, 11:21] = 5
    pet[15:25, 13:23, 13:19] = 10
    truth = pet >= 5
    pet[:5, :5, :5] = 40
    volume = _volume(pet)
    return Case(name="STS_777", pet=volume, ct=volume, truth=truth, has_ct=True)


def test_the_threshold_of_the_crop_takes_the_brightest_piece_whatever_it_is(case: Case) -> None:
    bladder = np.zeros(case.truth.shape, dtype=bool)
    bladder[:5, :5, :5] = True
    assert np.array_equal(threshold(case.pet), bladder)


def test_the_threshold_beside_the_contour_takes_the_tumour(case: Case) -> None:
    assert np.array_equal(threshold(case.pet, beside=case.truth), case.truth)


def test_the_crop_alone_is_an_ellipsoid_five_centimetres_from_the_borders(case: Case) -> None:
    found = crop_alone(case.pet)
    places = np.argwhere(found)
    assert ((places.min(axis=0) + 1) * SPACING_MM >= 50 - np.array(SPACING_MM)).all()
    half_mm = np.array(found.shape) * SPACING_MM / 2 - 50
    assert found.sum() * np.prod(SPACING_MM) == pytest.approx(4 / 3 * np.pi * np.prod(half_mm), rel=0.15)


def test_a_narrowed_crop_keeps_a_tumour_that_is_five_centimetres_away(case: Case) -> None:
    cut = narrowed(case, 3)
    assert cut.truth.sum() == case.truth.sum() and cut.truth.size < case.truth.size
    assert cut.pet.spatial_shape == cut.truth.shape == narrowed(case, 3).truth.shape
    first = np.argwhere(case.truth)[0]
    moved = np.argwhere(cut.truth)[0]
    assert np.allclose((case.pet.affine @ [*first, 1])[:3], (cut.pet.affine @ [*moved, 1])[:3])


def test_what_touches_no_contour_is_stray(case: Case) -> None:
    volume_ml, pieces = stray(case.pet.array >= 5, case.truth, case.pet)
    assert pieces == 1 and volume_ml == pytest.approx(125 * 0.1)


def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(0.7, 0.1, size=400)
    low, high = interval(values.tolist())
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.002)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.002)


@pytest.mark.parametrize(("pixels", "slices", "refused"), [(40, 40, False), (128, 40, True), (40, 263, True)])
def test_the_gate_refuses_a_whole_body(tmp_path: Path, pixels: int, slices: int, refused: bool) -> None:
    write_bundle(tmp_path / NAME)
    spec = load_bundle(tmp_path / NAME)
    header = Dataset()
    header.Modality, header.SeriesInstanceUID = "PT", "1.2.3"
    array = np.random.default_rng(0).uniform(0, 8, size=(slices, pixels, pixels))
    pet = SourceSeries(
        volume=_volume(array, (3.27, 5.47, 5.47)), planes=planes_of((header,) * slices), unit="g/ml{SUVbw}"
    )
    ct = SourceSeries(
        volume=pet.volume.with_array(pet.volume.array * 30 - 100), planes=planes_of((Dataset(),) * slices)
    )
    checks = check([pet, ct], spec)
    if refused:
        with pytest.raises(Unsuitable, match=r"pet: (field of view|coverage) mm"):
            require(checks, "series")
    else:
        require(checks, "series")


def test_the_card_has_claims_headings_and_every_figure(tmp_path: Path) -> None:
    rows = [
        Row(
            name=f"STS_{number}", has_ct=number > 1, truth_ml=100.0, found_ml=90.0, stray_ml=3.0, stray_pieces=1,
            dices=(0.5 + number / 10,) * len(METHODS),
        )
        for number in range(4)
    ]  # fmt: skip
    (tmp_path / "model.onnx").write_bytes(b"weights")
    tested = Examined(row=rows[3], measured={"Maximum SUV": (7.0, 8.0, "g/ml")}, features=107, seconds=4.2, warnings=())
    run = Run(
        seed=1,
        steps=10,
        final_steps=20,
        batch=2,
        patch_voxels=32,
        cut_mm=48.0,
        parameters=10_000,
        device="1 CPU thread",
    )
    write_card(tmp_path, run, rows, [tested])
    card = (tmp_path / "CARD.md").read_text(encoding="utf-8")
    headings = [line for line in card.splitlines() if line.startswith("## ")]
    assert [line[3:] for line in headings] == [
        "Intended use", "What a tumour is here", "Data", "Model", "Training", "Performance", "Limits", "Licence",
        "How to rebuild",
    ]  # fmt: skip
    for needed in (
        "not for clinical use",
        "CC BY 3.0",
        "0.650 (",
        "7 (8) g/ml",
        "| STS_3 | yes | 100 | 90 | 14 | 0.80",
    ):
        assert needed in card
    assert "Found (Dice of 0.1 or more): 4 of 4; by the crop alone, 4 of 4." in card


def test_what_a_report_says_of_sensitivity_names_its_criterion_the_crops_and_what_a_blind_guess_finds() -> None:
    dices = ((0.05, 0.7), (0.1, 0.7), (0.8, 0.09))
    rows = [
        Row(
            name=f"STS_{number}", has_ct=True, truth_ml=100.0, found_ml=90.0, stray_ml=0.0, stray_pieces=0,
            dices=(network, network, 0.0, 0.0, blind),
        )
        for number, (network, blind) in enumerate(dices)
    ]  # fmt: skip
    said = sensitivity(rows)
    assert said.startswith("Dice of 0.1 or more in 2 of 3 sarcomas")
    assert "on crops round the tumour" in said and said.endswith("without a look at the image has it in 2 of 3")


def test_the_bundle_that_is_shipped_is_what_the_script_writes_and_its_card_says_the_same(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[3] / "models" / "sts-petct"
    spec = load_bundle(shipped)
    (tmp_path / "model.onnx").write_bytes((shipped / "model.onnx").read_bytes())
    write_bundle(tmp_path, sensitivity=spec.sensitivity)
    assert (tmp_path / "model.toml").read_text() == (shipped / "model.toml").read_text()
    card = (shipped / "CARD.md").read_text()
    found = re.search(r"Found \(Dice of 0\.1 or more\): (.+); by the crop alone, (.+)\.", card)
    assert found is not None
    assert f"{found[1]} sarcomas" in spec.sensitivity and spec.sensitivity.endswith(found[2])
