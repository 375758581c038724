"""A cohort becomes one table: complete, repeatable, continued after an interruption, without names of patients."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dicomnode.config import parse
from dicomnode.domain.errors import ConfigError
from dicomnode.domain.measuring import Harmonisation, RadiomicsSpec
from dicomnode.flow.cohort import extract as cohort
from dicomnode.flow.cohort.case import measured_case
from dicomnode.flow.cohort.cases import Case, stored_studies
from dicomnode.flow.cohort.extract import Extracted, answers, extract, find
from dicomnode.flow.cohort.files import studies_below
from dicomnode.flow.cohort.output import write_csv
from dicomnode.flow.cohort.settings import plain, read_settings
from dicomnode.flow.intake import Intake
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands
from tests.toy import write_bundle
from tests.unit.flow.mortal import Mortal, deadly
from tests.unit.flow.test_contours import on_toy
from tests.unit.flow.test_work import PEER, Node

SPEC = RadiomicsSpec(classes=("firstorder", "shape"))

STUDIES = ("1.2.3", "1.2.4", "1.2.5")


@pytest.fixture
def folder(ct: Callable[..., list[Path]], tmp_path: Path) -> Path:
    """Three studies; of the last one nobody has drawn anything that can be measured."""
    place = tmp_path / "dicom" / "DONT_LOGME"
    place.mkdir(parents=True)
    for number, study in enumerate(STUDIES):
        for path in ct(study=study):
            path.rename(place / path.name)
        named = study if number < 2 else "1.2.77"
        drawn = on_toy(
            {"GTV-1": [(3, 20.0), (4, 20.0)], "cut": [(0, 20.0), (1, 20.0)]}, series=f"{named}.4", frame=f"{study}.9"
        )
        drawn.StudyInstanceUID, drawn.SOPInstanceUID = study, f"{study}.5.1"
        drawn.file_meta.MediaStorageSOPInstanceUID = drawn.SOPInstanceUID
        drawn.save_as(place / f"{study}.rtstruct", enforce_file_format=True)
    return place


def silent(_stage: str, _done: int, _total: int) -> None:
    """Shows nothing."""


def run(folder: Path, out: Path, *, spec: RadiomicsSpec = SPEC, identified: bool = False, jobs: int = 1) -> Extracted:
    found = find(studies_below([folder], lambda _text: None, silent), out, identified=identified)
    return extract(found, spec, out, identified=identified, jobs=jobs, progress=silent)


def rows(out: Path) -> list[dict[str, str]]:
    with out.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_region_is_a_row_and_a_case_that_fails_is_a_row_with_its_reason(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.csv"
    done = run(folder, out)
    assert (done.measured, done.skipped, done.rows) == (3, 0, {"ok": 4, "failed": 1})
    table = {(row["study_instance_uid"], row["region"]): row for row in rows(out)}
    gtv = table["1.2.3", "GTV-1"]
    # 2 planes of 10 × 10 voxels of 4 × 2 × 2 mm, eight tenths of them at 200 and the others at -900 HU.
    assert int(gtv["voxels"]) == 200 and float(gtv["volume_ml"]) == pytest.approx(3.2)
    assert float(gtv["original_firstorder_Mean"]) == pytest.approx(0.8 * 200 - 0.2 * 900)
    assert (gtv["Modality"], gtv["unit"], gtv["contours"], gtv["Manufacturer"]) == (
        "CT",
        "[hnsf'U]",
        "RTSTRUCT",
        "tests",
    )
    assert (gtv["batch_by"], gtv["batch"]) == ("ManufacturerModelName+ConvolutionKernel", "")
    assert gtv["check_border"] == "" and "2.00 times as long as wide" in gtv["check_anisotropy"]
    assert table["1.2.4", "cut"]["check_border"] == "touches the edge of the image"
    failure = table["1.2.5", ""]
    assert (
        failure["status"] == "failed" and "it names series 1.2.77.4, which is not among the files" in failure["reason"]
    )


def test_names_of_patients_stand_in_no_file(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "made" / "features.csv"
    out.parent.mkdir()
    run(folder, out)
    written = [path for path in out.parent.iterdir() if path.suffix != ".key"]
    assert len(written) == 4
    for path in written:
        text = path.read_text()
        assert "LOGME" not in text and "Draws" not in text and str(folder) not in text
        assert "P1" not in text.replace("LLP1", "")
    (patient,) = {row["patient"] for row in rows(out)}
    assert len(patient) == 16
    assert (out.parent / "features.csv.key").stat().st_mode & 0o077 == 0
    other = tmp_path / "features.csv"
    run(folder, other)
    assert {row["patient"] for row in rows(other)} != {patient}, "another table has another key"
    named = tmp_path / "named.csv"
    run(folder, named, identified=True)
    assert {row["patient"] for row in rows(named)} == {"P1"}
    assert not (tmp_path / "named.csv.key").exists()


def test_studies_are_read_one_by_one_however_they_are_spread(folder: Path, tmp_path: Path) -> None:
    apart = tmp_path / "dicom" / "apart"
    apart.mkdir()
    for path in folder.glob("*.rtstruct"):
        path.rename(apart / path.name)
    (apart / "notes.txt").write_text("no DICOM")
    (apart / "empty").write_bytes(b"")
    said: list[str] = []
    told: list[tuple[str, int, int]] = []
    found = list(studies_below([tmp_path / "dicom"], said.append, lambda *step: told.append(step)))
    assert [study.study_instance_uid for study in found] == [*STUDIES]
    assert all(sum(len(series.instances) for series in study.series) == 11 for study in found)
    assert any("no DICOM file" in text for text in said)
    assert told[-1] == ("read", 35, 35) and ("sort", 35, 35) in told


def test_a_run_that_was_cut_off_goes_on_where_it_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole.csv", tmp_path / "features.csv"
    run(folder, whole, identified=True)
    measured: list[str] = []

    def cut_off(case: Case, spec: RadiomicsSpec) -> Any:
        measured.append(case.study_instance_uid)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return measured_case(case, spec)

    monkeypatch.setattr(cohort, "measured_case", cut_off)
    with pytest.raises(KeyboardInterrupt):
        run(folder, out, identified=True)
    assert {row["study_instance_uid"] for row in rows(out)} == {"1.2.3"}
    journal = tmp_path / "features.csv.journal"
    with journal.open("a") as file:
        file.write('{"key": ["1.2.4", "1.2.4.5.1"], "rows": [{"region": "GTV')
    done = run(folder, out, identified=True)
    assert (done.measured, done.skipped) == (2, 1)
    assert measured == ["1.2.3", "1.2.4", "1.2.4", "1.2.5"]
    assert out.read_bytes() == whole.read_bytes()
    again = run(folder, out, identified=True)
    assert (again.measured, again.skipped) == (1, 2), "what failed is tried again"
    assert out.read_bytes() == whole.read_bytes()


def test_cases_of_an_earlier_run_stay_in_the_table(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.csv"
    run(folder, out)
    for path in folder.iterdir():
        if path.name.startswith("1.2.3"):
            path.unlink()
    run(folder, out)
    assert {row["study_instance_uid"] for row in rows(out)} == {*STUDIES}


def test_a_case_whose_images_are_found_later_loses_its_failure(folder: Path, tmp_path: Path) -> None:
    out, apart = tmp_path / "features.csv", tmp_path / "apart"
    apart.mkdir()
    (drawn,) = folder.glob("1.2.3.rtstruct")
    drawn.rename(apart / "drawn")
    assert run(apart, out).rows == {"failed": 1}
    (apart / "drawn").rename(drawn)
    assert run(folder, out).rows == {"ok": 4, "failed": 1}


def test_values_are_as_measured_whatever_the_bundle_harmonises(folder: Path, tmp_path: Path) -> None:
    plainly, told = tmp_path / "plain.csv", tmp_path / "told.csv"
    run(folder, plainly, identified=True)
    harmonisation = Harmonisation(
        batch_by=("Manufacturer",), reference="other", kept=("original_firstorder_Mean",), source="phantom",
        batches={"tests": {"original_firstorder_Mean": (5.0, 2.0)}},
    )  # fmt: skip
    run(folder, told, identified=True, spec=replace(SPEC, harmonisation=harmonisation))
    assert told.read_bytes() == plainly.read_bytes()


def test_a_table_of_other_settings_is_not_continued(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.csv"
    run(folder, out)
    with pytest.raises(ConfigError, match="other settings"):
        run(folder, out, spec=replace(SPEC, settings={"binWidth": 10}))


def test_processes_make_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    run(folder, one, identified=True)
    run(folder, two, identified=True, jobs=2)
    assert one.read_bytes() == two.read_bytes()


def test_a_case_that_kills_its_process_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohort, "measured_case", deadly)
    cases: list[Any] = [Mortal("a"), Mortal("deadly"), Mortal("b")]
    found = list(answers(cases, plain(RadiomicsSpec()), 2))
    assert [(case.patient, rows[0]["status"]) for case, rows in found] == [
        ("a", "ok"),
        ("deadly", "failed"),
        ("b", "ok"),
    ]
    assert "its process was killed" in found[1][1][0]["reason"]


def test_the_images_are_described(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.csv"
    run(folder, out)
    described = rows(tmp_path / "features.dataset.csv")
    assert [row["contours"] for row in described] == ["yes", "yes", "no"]
    assert {row["images"] for row in described} == {"10"}
    assert {row["slice_spacing_mm"] for row in described} == {"4"}
    assert described[0]["missing"] == "ManufacturerModelName ConvolutionKernel ReconstructionDiameter"


@pytest.mark.parametrize(("name", "words"), [("f.xlsx", "needed .csv or .parquet"), ("no/f.csv", "make it first")])
def test_a_table_that_cannot_be_written_is_refused_at_once(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        find((), tmp_path / name, identified=True)


def test_no_name_of_a_region_is_a_formula_to_a_spreadsheet(tmp_path: Path) -> None:
    written = tmp_path / "lesions.csv"
    typed = {"region": "=cmd|' /C calc'!A0", "reason": "@SUM(1)", "change": "-3.5", "size": -2.0, "label": "GTV-1"}
    write_csv([typed], written)
    (row,) = csv.DictReader(written.read_text(encoding="utf-8").splitlines())
    assert row == {
        "region": "'=cmd|' /C calc'!A0",
        "reason": "'@SUM(1)",
        "change": "-3.5",
        "size": "-2.0",
        "label": "GTV-1",
    }


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="pip install pyarrow"):
        find((), tmp_path / "f.parquet", identified=True)


def test_parquet_holds_what_csv_holds(folder: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is no dependency, and is not installed")
    run(folder, tmp_path / "f.csv", identified=True)
    run(folder, tmp_path / "f.parquet", identified=True)
    found = parquet.read_table(tmp_path / "f.parquet").to_pylist()
    assert [[str(value) if value is not None else "" for value in row.values()] for row in found] == [
        [*row.values()] for row in rows(tmp_path / "f.csv")
    ]


def test_settings_have_the_rules_of_a_bundle(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('[radiomics]\nclasses = ["glcm"]\n[radiomics.settings]\nbinWidth = 10.0\n')
    assert read_settings(path) == RadiomicsSpec(classes=("glcm",), settings={"binWidth": 10.0})
    path.write_text('[radiomics]\nclasses = ["glcmm"]\n[radiomics.settings]\nbinWith = 10.0\n')
    with pytest.raises(ConfigError) as caught:
        read_settings(path)
    assert len(caught.value.faults) == 2
    assert "did you mean glcm?" in str(caught.value) and "did you mean binWidth?" in str(caught.value)


def test_masks_that_the_node_made_are_measured_from_its_store(
    db: Database, files: Files, clock: Hands, ct: Any, receive: Callable[[Intake, Sequence[Path]], None], tmp_path: Path
) -> None:
    write_bundle(tmp_path / "models")
    rule = {"name": "find", "model": "toy", "destinations": ["PACS"], "outputs": ["seg", "sr"]}
    settings = parse(
        {
            "models": {"folder": str(tmp_path / "models")},
            "peer": [PEER],
            "rule": [{**rule, "series": {"Modality": "CT"}}],
        }
    )
    node = Node(db, files, clock, settings)
    receive(node.intake, ct())
    assert list(stored_studies(db, files)) == [], "not before it is settled"
    node.settled()
    node.work_until_idle()
    out = tmp_path / "features.csv"
    found = find(stored_studies(db, files), out, identified=False)
    assert len(found.cases) == 1
    extract(found, SPEC, out, identified=False, jobs=1, progress=silent)
    (row,) = rows(out)
    assert (row["status"], row["contours"], row["region"]) == ("ok", "SEG", "Dense")
    # The block of 4 × 10 × 10 voxels of 200 HU.
    assert int(row["voxels"]) == 400 and float(row["original_firstorder_Mean"]) == pytest.approx(200)


def test_the_sarcomas_give_nine_rows_with_the_masks_of_the_data_set(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "sts_ibsi_validation" / "STS_010"
    out = tmp_path / "features.csv"
    done = run(folder, out, spec=RadiomicsSpec(classes=("firstorder",)))
    assert done.rows == {"ok": 3}
    table = {row["Modality"]: row for row in rows(out)}
    assert table["CT"]["batch"] == "Discovery ST | STANDARD" and table["PT"]["batch"] == "Discovery ST | OSEM"
    assert table["PT"]["unit"] == "g/ml{SUVbw}" and table["PT"]["check_unit"] == ""
    assert "arbitrary" in table["MR"]["check_unit"] and table["MR"]["batch"] == ""
    assert table["CT"]["voxels"] == table["MR"]["voxels"]
    # Suv and HU of a tumour; the same region of the body to a slice's partial volume.
    assert float(table["PT"]["volume_ml"]) == pytest.approx(float(table["CT"]["volume_ml"]), rel=0.05)
