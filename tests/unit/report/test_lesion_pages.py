"""Lesions on pictures and on paper: diameters drawn to scale, a row each, and what the comparison says."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Findings, Measurement, Provenance
from dicomnode.domain.response import Comparison
from dicomnode.domain.uid import ResultUids
from dicomnode.report.callipers import YELLOW
from dicomnode.report.compared import lines_of, percent_text
from dicomnode.report.diameter import voxels
from dicomnode.report.lesion_table import lesion_table
from dicomnode.report.page import pictures_of
from dicomnode.report.sheet import sheet
from dicomnode.report.table import lines_about, table_of
from dicomnode.report.wording import measurement_names

from .followup import LESIONS, compared, measured_lesions
from .test_validators import tool


def page_text(findings: Findings, provenance: Provenance, folder: Path) -> str:
    """What poppler reads of the PDF."""
    file = folder / "page.pdf"
    file.write_bytes(sheet(findings, provenance, pictures_of(findings, provenance)))
    done = subprocess.run([tool("pdftotext"), "-layout", str(file), "-"], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("orientation", ["axial", "reversed", "oblique"])
def test_the_line_of_a_diameter_runs_between_its_ends(orientation: str, provenance: Provenance) -> None:
    findings = measured_lesions(orientation)
    picture = pictures_of(findings, provenance)[1]
    place = picture.places[0]
    rows = [row for row in findings.measurements if row.segment_number == 1 and row.plane is not None]
    assert [row.name.meaning for row in rows] == ["Long axis", "Short axis"]
    assert {row.plane for row in rows} == {place.view.index}, "the slice shown is that of the diameter"
    for row in rows:
        ends = place.pixels(voxels(row.points_mm, findings.source)[:, 1:] + 0.5)
        assert np.linalg.norm((ends[1] - ends[0]) / place.scale * place.view.spacing_mm[::-1]) == pytest.approx(
            row.value
        )
        for part in np.linspace(0.1, 0.9, 9):
            x, y = np.round(ends[0] + part * (ends[1] - ends[0])).astype(int)
            near = picture.image[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3)
            assert (near == YELLOW).all(axis=1).any()


def test_other_planes_and_series_without_lesions_have_no_callipers(findings: Findings, provenance: Provenance) -> None:
    for picture in pictures_of(findings, provenance):
        assert not (picture.image == YELLOW).all(axis=2).any()
    lesion = pictures_of(measured_lesions(), provenance)[1]
    for place in lesion.places[1:3]:
        x, y = place.corner
        assert not (lesion.image[y : y + place.size[1], x : x + place.size[0]] == YELLOW).all(axis=2).any()


def test_each_lesion_has_a_row_with_diameters_volume_intensity_and_change(uids: ResultUids) -> None:
    table = lesion_table(compared(measured_lesions(), uids))
    assert table.columns == ("Long axis", "Short axis", "Volume", "Mean", "Δ diameter", "Δ volume")
    rows = {row.subject: row.cells for row in table.rows}
    assert list(rows) == ["Nodule 1 (target)", "Nodule 2", "Node", "Nodule 3"]
    assert rows["Nodule 1 (target)"] == ("9.2 mm", "4.6 mm", "0.400 ml", "−393 HU", "−40.0 %", "−78.4 %")
    assert rows["Nodule 2"][4:] == ("candidate new", "")
    assert rows["Nodule 3"] == ("was 7.0 mm", "was 5.0 mm", "was 0.200 ml", "", "not detected", "")


def test_without_an_earlier_study_there_are_no_columns_of_change() -> None:
    table = lesion_table(measured_lesions())
    assert table.columns == ("Long axis", "Short axis", "Volume", "Mean")
    assert [row.subject for row in table.rows] == ["Nodule 1", "Nodule 2", "Node"]


def test_structures_keep_their_own_table(findings: Findings) -> None:
    assert lesion_table(findings).rows == ()
    assert [row.subject for row in table_of(findings).rows] == ["Lung right", "Lung left", "Nodule"]
    assert table_of(measured_lesions()).rows == ()


def test_what_could_not_be_measured_stands_below_the_picture() -> None:
    lines = lines_about(measured_lesions(), LESIONS[1])
    assert lines[:3] == ["Long axis: 2.1 mm", "Short axis: 1.6 mm", "Volume: 0.008 ml"]
    assert "Sphericity: not measured, the region spans 1 of the slices, needed 3 for a surface" in lines
    assert not any("Centroid" in line for line in lines)


def test_the_page_on_paper_holds_the_response_with_its_limits(
    provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    text = " ".join(page_text(compared(measured_lesions(), uids), provenance, tmp_path).split())
    for expected in (
        "Compared with the study of 2025-10-03 (90 days before; measured by chest-ct 1.0.0)",
        "Target-lesion assessment by RECIST 1.1: PR, partial response (−40.0 % from baseline); sum of diameters "
        "9.2 mm, 15.3 mm at baseline",
        "Candidate new lesion: Nodule 2, 2.1 mm",
        "Not detected by the algorithm: Nodule 3, 7.0 mm before (which does not show that it is gone)",
        "dates of treatment and clinical status are not part of it",
        "Limit of the comparison: 2025-10-03: slices of 5.0 mm then and 2.5 mm now",
        "9.2 mm 4.6 mm 0.400 ml",
    ):
        assert expected in text


def test_a_nadir_below_the_baseline_is_told(uids: ResultUids) -> None:
    comparison = compared(measured_lesions(), uids).comparison
    assert comparison is not None
    first = replace(comparison.assessments[0], nadir=8.0, percent_from_nadir=14.6)
    lines = lines_of(replace(comparison, assessments=(first,)))
    assert (
        "(−40.0 % from baseline, +14.6 % from nadir); sum of diameters 9.2 mm, 15.3 mm at baseline (2025-10-03), "
        "8.0 mm at nadir (2025-10-03)" in lines[1]
    )


@pytest.mark.parametrize(
    ("percent", "text"), [(-34.04, "−34.0 %"), (12.5, "+12.5 %"), (0.02, "0.0 %"), (-0.01, "0.0 %")]
)
def test_a_change_has_its_sign(percent: float, text: str) -> None:
    assert percent_text(percent) == text


def test_why_nothing_is_compared_stands_on_the_page(provenance: Provenance, uids: ResultUids, tmp_path: Path) -> None:
    whole = compared(measured_lesions(), uids).comparison
    assert whole is not None
    comparison = Comparison(now=whole.now, not_comparable="study of 2025-10-03: kernel B70f then and B30f now")
    text = page_text(replace(measured_lesions(), comparison=comparison), provenance, tmp_path)
    assert "Not comparable with earlier studies: study of 2025-10-03: kernel B70f then and B30f now" in text
    assert "Target-lesion assessment" not in text


def test_a_hundred_lesions_leave_room_and_are_counted(provenance: Provenance, uids: ResultUids, tmp_path: Path) -> None:
    findings = compared(measured_lesions(), uids)
    first = [row for row in findings.measurements if row.segment_number == 1]
    numbers = range(10, 110)
    segments = (*LESIONS, *(replace(LESIONS[0], number=number, label=f"Lesion {number}") for number in numbers))
    rows = (*findings.measurements, *(replace(row, segment_number=number) for number in numbers for row in first))
    many = replace(
        findings, measurements=rows, segmentation=replace(findings.segmentation, segments=segments)
    )  # fmt: skip
    text = page_text(many, provenance, tmp_path)
    assert "further lesions in the structured report" in text
    shown = len([line for line in text.splitlines() if line.strip().startswith(("Lesion ", "Nod"))])
    counted = next(int(line.split()[0]) for line in text.splitlines() if "further lesions" in line)
    assert shown + counted >= 100
    assert all(picture.image.shape == (1024, 1024, 3) for picture in pictures_of(many, provenance))


def test_rows_of_one_name_are_told_apart_by_their_method() -> None:
    def row(method: str, value: str) -> Measurement:
        return Measurement(
            segment_number=1,
            name=Code(value="126032", scheme="DCM", meaning="Metabolic Volume"),
            value=1.0,
            unit=Code(value="cm3", scheme="UCUM", meaning="cubic centimeter"),
            method=Code(value=value, scheme="99X", meaning=method),
        )

    both = [row("Voxels from 41 % of the maximum", "A"), row("Voxels from 2.5", "B")]
    assert measurement_names(both) == [
        "Metabolic Volume (Voxels from 41 % of the maximum)",
        "Metabolic Volume (Voxels from 2.5)",
    ]
    assert measurement_names(both[:1]) == ["Metabolic Volume"]
