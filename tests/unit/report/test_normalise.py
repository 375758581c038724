"""Defects of source headers and what becomes of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from highdicom import Volume
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, SourceSeries
from dicomnode.report.identity import fit
from dicomnode.report.normalise import normalised

from .conftest import SLICE_MM, with_headers


def changed(findings: Findings, change: Callable[[int, Dataset], None]) -> tuple[Dataset, ...]:
    return normalised(with_headers(findings, change).source)


def setting(keyword: str, value: object, *, only: int | None = None) -> Callable[[int, Dataset], None]:
    def change(index: int, ds: Dataset) -> None:
        if only is None or index == only:
            setattr(ds, keyword, value)

    return change


def lacking(keyword: str) -> Callable[[int, Dataset], None]:
    return lambda _, ds: delattr(ds, keyword)


@pytest.mark.parametrize(
    "keyword",
    [
        "AccessionNumber",
        "StudyID",
        "StudyDate",
        "StudyTime",
        "PatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "ReferringPhysicianName",
    ],
)
def test_an_absent_attribute_of_type_2_becomes_empty(findings: Findings, keyword: str) -> None:
    for ds in changed(findings, lacking(keyword)):
        assert ds[keyword].is_empty


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize(("found", "expected"), [("m", "M"), (" F ", "F"), ("W", "O"), ("", ""), ("UNKNOWN", "O")])
def test_sex_is_m_f_o_or_empty(findings: Findings, found: str, expected: str) -> None:
    assert changed(findings, setting("PatientSex", found))[0].PatientSex == expected


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize("keyword", ["PatientBirthDate", "StudyDate", "StudyTime"])
@pytest.mark.parametrize("value", ["unknown", "19991399", "99:99"])
def test_a_malformed_date_or_time_becomes_empty(findings: Findings, keyword: str, value: str) -> None:
    assert changed(findings, setting(keyword, value))[0][keyword].is_empty


def test_identity_is_called_removed_only_with_the_method(findings: Findings) -> None:
    def said(_: int, ds: Dataset) -> None:
        ds.PatientIdentityRemoved = "YES"

    def explained(index: int, ds: Dataset) -> None:
        said(index, ds)
        ds.DeidentificationMethod = "by hand"

    assert "PatientIdentityRemoved" not in changed(findings, said)[0]
    assert changed(findings, explained)[0].PatientIdentityRemoved == "YES"


@pytest.mark.filterwarnings("ignore:The value length")
def test_a_long_accession_number_is_cut_to_what_its_representation_holds(findings: Findings) -> None:
    assert changed(findings, setting("AccessionNumber", "ACC-2026-0000000001234"))[0].AccessionNumber == (
        "ACC-2026-0000000"
    )


def test_what_a_file_holds_too_long_is_cut_without_a_word_on_the_terminal(findings: Findings) -> None:
    header = findings.source.datasets[0]
    # As it stands in a file that was just read: nobody has looked at the value yet.
    for keyword, text in (("StationName", b"a station of 22 letters"), ("StudyID", b"2026-11-21T08:00:00.00")):
        tag = Tag(keyword)
        header._dict[tag] = RawDataElement(tag, "SH", len(text), text, 0, False, True)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fitted = fit(header)
    assert said == []
    assert (fitted.StationName, fitted.StudyID) == ("a station of 22 ", "2026-11-21T08:00")


@pytest.mark.filterwarnings("ignore:The value length")
def test_an_overlong_patient_id_is_kept_because_it_names_the_patient(findings: Findings) -> None:
    long = "P" * 70
    assert changed(findings, setting("PatientID", long))[0].PatientID == long


@pytest.mark.parametrize(("keyword", "value"), [("PatientWeight", 0), ("PatientSize", "0.0"), ("PatientAge", "000Y")])
def test_zeros_that_mean_not_entered_are_left_out(findings: Findings, keyword: str, value: object) -> None:
    assert keyword not in changed(findings, setting(keyword, value))[0]


def test_a_real_weight_and_age_are_kept(findings: Findings) -> None:
    def change(_: int, ds: Dataset) -> None:
        ds.PatientWeight, ds.PatientAge = 80, "065Y"

    first = changed(findings, change)[0]
    assert (first.PatientWeight, first.PatientAge) == (80, "065Y")


def test_an_attribute_that_is_no_value_of_its_kind_is_left_out(findings: Findings) -> None:
    weight = Tag("PatientWeight")

    def change(_: int, ds: Dataset) -> None:
        ds[weight] = RawDataElement(weight, "DS", 4, b"N/A ", 0, False, True)

    assert weight not in changed(findings, change)[0]


@pytest.mark.filterwarnings("ignore:The value length")
def test_positions_with_too_many_digits_are_rounded_and_not_lost(findings: Findings) -> None:
    def change(index: int, ds: Dataset) -> None:
        ds.ImagePositionPatient = ["-30.1234567890123456789", "12.5", str(41.25 + index * SLICE_MM)]

    for ds in changed(findings, change):
        assert [float(number) for number in ds.ImagePositionPatient][:2] == [-30.12345679, 12.5]
        assert all(len(str(number)) <= 16 for number in ds.ImagePositionPatient)


def test_private_attributes_stay_out_at_every_depth(findings: Findings) -> None:
    def change(_: int, ds: Dataset) -> None:
        ds.private_block(0x0009, "SCANNER", create=True).add_new(1, "LO", "secret")
        item = Dataset()
        item.PatientID = "other"
        item.private_block(0x0011, "SCANNER", create=True).add_new(1, "LO", "secret")
        ds.OtherPatientIDsSequence = Sequence([item])

    first = changed(findings, change)[0]
    found: list[object] = []
    first.walk(lambda _, element: found.append(element.tag) if element.tag.is_private else None)
    assert found == []
    assert first.OtherPatientIDsSequence[0].PatientID == "other"


def test_the_originals_are_not_touched(findings: Findings) -> None:
    change = setting("PatientSex", "W")
    for index, ds in enumerate(findings.source.datasets):
        change(index, ds)
    before = [ds.to_json_dict() for ds in findings.source.datasets]
    normalised(findings.source)
    assert [ds.to_json_dict() for ds in findings.source.datasets] == before


def test_a_wrong_slice_spacing_is_replaced_by_that_of_the_positions(findings: Findings) -> None:
    for ds in changed(findings, setting("SpacingBetweenSlices", 5.0)):
        assert float(ds.SpacingBetweenSlices) == pytest.approx(SLICE_MM)


def test_an_irregular_stack_claims_no_slice_spacing(findings: Findings) -> None:
    def change(index: int, ds: Dataset) -> None:
        ds.SpacingBetweenSlices = SLICE_MM
        if index == 11:
            ds.ImagePositionPatient = [-30.0, 12.5, 41.25 + 13 * SLICE_MM]

    assert not any("SpacingBetweenSlices" in ds for ds in changed(findings, change))


def test_slice_thickness_is_kept_where_present_and_the_spacing_elsewhere(findings: Findings) -> None:
    assert changed(findings, setting("SliceThickness", 1.25))[0].SliceThickness == 1.25
    assert changed(findings, lacking("SliceThickness"))[0].SliceThickness == SLICE_MM


def test_orientation_jitter_is_replaced_by_the_median(findings: Findings) -> None:
    shaken = setting("ImageOrientationPatient", [1, 1e-6, 0, -1e-6, 1, 0], only=4)
    for ds in changed(findings, shaken):
        assert list(ds.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]


def test_slices_that_are_not_parallel_are_refused(findings: Findings) -> None:
    tilted = setting("ImageOrientationPatient", [1, 1e-3, 0, -1e-3, 1, 0], only=4)
    with pytest.raises(EncodingError, match=r"found slice orientations 0\.001 apart, needed at most 0\.0001"):
        changed(findings, tilted)


@pytest.mark.parametrize(
    ("keyword", "what"),
    [
        ("PatientID", "patients"),
        ("IssuerOfPatientID", "issuers of the patient ID"),
        ("StudyInstanceUID", "studies"),
        ("SeriesInstanceUID", "series"),
        ("FrameOfReferenceUID", "frames of reference"),
    ],
)
def test_a_source_that_mixes_identities_is_refused_without_naming_them(
    findings: Findings, keyword: str, what: str
) -> None:
    with pytest.raises(EncodingError, match=f"found 2 {what}, needed one") as refused:
        changed(findings, setting(keyword, "1.2.3.77", only=7))
    assert "1.2.3.77" not in str(refused.value)


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "SeriesInstanceUID", "StudyInstanceUID"])
def test_a_source_without_frame_of_reference_series_or_study_is_refused(findings: Findings, keyword: str) -> None:
    with pytest.raises(EncodingError, match=f"found no {keyword}, needed one"):
        changed(findings, lacking(keyword))


def test_a_source_without_positions_is_refused(findings: Findings) -> None:
    with pytest.raises(EncodingError, match="slice without usable ImagePositionPatient, needed 3 numbers"):
        changed(findings, lacking("ImagePositionPatient"))


def test_several_slices_in_one_instance_are_refused(findings: Findings) -> None:
    with pytest.raises(EncodingError, match="found 1 instances for 12 slices"):
        changed(findings, setting("SOPInstanceUID", "1.2.3"))


def test_no_header_at_all_is_refused() -> None:
    volume = Volume(array=np.zeros((1, 1, 1)), affine=np.eye(4), coordinate_system="PATIENT")
    with pytest.raises(EncodingError, match="found no header"):
        normalised(SourceSeries(volume=volume, planes=()))


def test_a_single_slice_passes(findings: Findings) -> None:
    (only,) = normalised(replace(findings.source, planes=findings.source.planes[:1]))
    assert "SpacingBetweenSlices" not in only
