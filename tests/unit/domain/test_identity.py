"""Two descriptions of one study agree where they mean the same, and what is corrected leaves nobody's rest behind."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom import Dataset

from dicomnode.domain.header import Header
from dicomnode.domain.identity import Correction, StudyIdentity, correct, corrected_header


def said(**values: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in {
        "PatientID": "P1", "PatientName": "Roe^Jane", "PatientBirthDate": "19700101", "PatientSex": "F",
        "AccessionNumber": "A1", "StudyID": "1", "StudyDate": "20261120", **values,
    }.items():  # fmt: skip
        setattr(ds, keyword, value)
    return ds


def identity(**values: Any) -> StudyIdentity:
    return StudyIdentity.of(Header.of(said(**values).to_json_dict()))


@pytest.mark.parametrize(
    ("archive", "keywords"),
    [
        ({}, ()),
        ({"PatientID": "P2"}, ("PatientID",)),
        ({"PatientID": "p1"}, ("PatientID",)),
        ({"PatientName": "ROE^JANE^^"}, ()),
        ({"PatientName": "Roe^Janet"}, ("PatientName",)),
        ({"PatientBirthDate": "19700102"}, ("PatientBirthDate",)),
        ({"PatientBirthDate": "", "PatientSex": "", "PatientName": "", "AccessionNumber": ""}, ()),
        ({"PatientSex": "M", "AccessionNumber": "A2"}, ("PatientSex", "AccessionNumber")),
        ({"IssuerOfPatientID": "HOSPITAL"}, ()),
        ({"StudyDate": "20261119", "StudyID": "2"}, ("StudyID", "StudyDate")),
    ],
)
def test_an_archive_deviates_where_it_says_something_else(archive: dict[str, str], keywords: tuple[str, ...]) -> None:
    assert identity().deviations(identity(**archive)) == keywords


@pytest.mark.parametrize("keyword", ["PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"])
def test_what_an_archive_knows_and_the_objects_do_not_say_is_a_deviation(keyword: str) -> None:
    assert identity(**{keyword: ""}).deviations(identity()) == (keyword,)


@pytest.mark.parametrize("keyword", ["IssuerOfPatientID", "StudyID", "StudyDate"])
def test_but_not_what_archives_fill_in(keyword: str) -> None:
    assert identity(**{keyword: ""}).deviations(identity(**{keyword: "20261120"})) == ()


def test_two_issuers_are_two_patients() -> None:
    assert identity(IssuerOfPatientID="A").deviations(identity(IssuerOfPatientID="B")) == ("IssuerOfPatientID",)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("Müller^Jürgen", "M?ller^J?rgen"),
        ("Müller^Jürgen", "Mller^Jrgen"),
        ("Weiß^Ida", "Wei?^Ida"),
        ("Müller^Jürgen", "M\ufffdller^J\ufffdrgen"),
        ("Yamada^Tarou=山田^太郎", "Yamada^Tarou"),
        ("Yamada^Tarou", "YAMADA^TAROU=山田^太郎=やまだ^たろう"),
    ],
)
def test_characters_that_an_archive_cannot_write_are_no_deviation(ours: str, theirs: str) -> None:
    assert identity(PatientName=ours).deviations(identity(PatientName=theirs)) == ()


def test_other_characters_are() -> None:
    assert identity(PatientName="Müller").deviations(identity(PatientName="Möller")) == ("PatientName",)
    assert identity(PatientName="Yamada=山田").deviations(identity(PatientName="Yamada=山本")) == ("PatientName",)


def test_what_a_result_says_of_an_odd_value_is_no_deviation_from_that_value() -> None:
    odd = StudyIdentity(values={"PatientID": "P1", "PatientSex": "X", "PatientBirthDate": "unknown"})
    written = StudyIdentity(values={"PatientID": "P1", "PatientSex": "O", "PatientBirthDate": ""})
    assert written.deviations(odd) == ()


def test_under_another_patient_id_nothing_of_the_patient_before_stays() -> None:
    ds = said(OtherPatientIDs="X9", PatientBirthTime="1200", PatientWeight=70, IssuerOfPatientID="OLD")
    archive = StudyIdentity(values={"PatientID": "P2", "PatientName": "Doe^John"})
    correct(ds, [Correction(before=identity(IssuerOfPatientID="OLD"), after=archive)])
    assert (ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.PatientSex) == ("P2", "Doe^John", "", "")
    assert "IssuerOfPatientID" not in ds and "OtherPatientIDs" not in ds and "PatientBirthTime" not in ds
    # Measured at the scanner, on who lay there; and the order is another question.
    assert ds.PatientWeight == 70 and ds.AccessionNumber == "A1"


def test_a_corrected_name_leaves_the_rest_as_it_is() -> None:
    ds = said(OtherPatientIDs="X9")
    correct(ds, [Correction(before=identity(), after=identity(PatientName="Doe^Jane", PatientSex=""))])
    assert (ds.PatientName, ds.PatientID, ds.PatientSex, ds.OtherPatientIDs) == ("Doe^Jane", "P1", "F", "X9")


def test_header_and_data_set_are_corrected_alike() -> None:
    correction = Correction(
        before=identity(), after=identity(PatientID="P2", PatientName="Doe^John=山田", PatientSex="")
    )
    ds = said(OtherPatientIDs="X9")
    header = corrected_header(Header.of(ds.to_json_dict()), [correction])
    correct(ds, [correction])
    assert StudyIdentity.of(header) == StudyIdentity.of(Header.of(ds.to_json_dict())) == StudyIdentity.of_dataset(ds)
    assert "OtherPatientIDs" not in header and header.text("PatientName") == "Doe^John"


def test_an_element_that_others_share_is_replaced_and_not_changed() -> None:
    ds, other = said(), Dataset()
    other[0x00100020] = ds[0x00100020]
    correct(ds, [Correction(before=identity(), after=identity(PatientID="P2"))])
    assert other.PatientID == "P1"


def test_only_objects_that_say_what_was_corrected_are_meant() -> None:
    correction = Correction(before=identity(), after=identity(PatientID="P2"))
    for values, now in (
        ({}, "P2"),
        ({"PatientSex": ""}, "P2"),
        ({"PatientID": "P3"}, "P3"),
        ({"PatientSex": "M"}, "P1"),
    ):
        ds = said(**values)
        correct(ds, [correction])
        assert ds.PatientID == now


def test_no_value_stands_in_what_is_printed() -> None:
    correction = Correction(before=identity(), after=identity(PatientID="P2"))
    assert "Roe" not in repr(correction) and "P1" not in repr(correction)
