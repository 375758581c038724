"""Each attribute of Table E.1-1 gets the action that stands there, under each option."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.tag import Tag

from dicomnode.deident.dataset import deidentify
from dicomnode.deident.pseudonym import Pseudonyms
from dicomnode.deident.table import Action, table
from dicomnode.domain.privacy import Keep
from tests.unit.deident.conftest import MakeImage

VALUES: dict[str, Any] = {
    "DA": "20260203", "TM": "101112", "DT": "20260203101112", "UI": "1.2.840.99999.7", "AS": "071Y", "DS": "71.5",
    "IS": "71", "CS": "WORD", "OB": b"DONT LOGME", "UN": b"DONT LOGME", "US": 7, "UL": 7, "FD": 7.0, "FL": 7.0,
    "UR": "http://LOGME",
}  # fmt: skip
#: What cannot stand in a composite object of its own: the command set, file meta information and DICOMDIR.
OUTSIDE = 8


def _rows(vr_of_sequences: bool) -> list[Any]:
    return [
        tag
        for tag in table()
        if tag.group >= OUTSIDE and dictionary_has_tag(tag) and (dictionary_VR(tag) == "SQ") is vr_of_sequences
    ]


def _with(image: MakeImage, tag: Any) -> Dataset:
    ds = image()
    vr = dictionary_VR(tag).split(" or ")[0]
    ds.add_new(tag, vr, VALUES.get(vr, "DONT LOGME"))
    return ds


def _found(ds: Dataset, tag: Any, before: Any) -> str:
    """What happened to an attribute, in the letters of Table E.1-1a."""
    if tag not in ds:
        return "X"
    value = ds[tag].value
    if value is None or value in ("", b""):
        return "Z"
    if str(value) == str(before):
        return "K"
    return "U" if ds[tag].VR == "UI" else "D"


@pytest.mark.parametrize("option", [None, *Keep])
def test_every_value_meets_the_action_of_its_row(option: Keep | None, image: MakeImage, names: Pseudonyms) -> None:
    keep = frozenset({option} if option else ())
    wrong = []
    for tag in _rows(vr_of_sequences=False):
        ds = _with(image, tag)
        if tag == Tag("EncapsulatedDocument"):
            continue  # such an object is refused as a whole
        before = str(ds[tag].value)
        row = table()[tag]
        found = _found(deidentify(ds, names, keep).dataset, tag, before)
        column = row.options.get(option) if option else None
        if column is Action.KEEP:
            expected = {"K"}
        elif column is Action.CLEAN:
            # A value that is cleaned is another one, or nothing is left of it.
            expected = {"D", *row.basic.split("/")}
            if dictionary_VR(tag) == "TM":
                expected = {"K"}  # dates move by whole days
        else:
            expected = set(row.basic.replace("*", "").split("/")) | (
                {"U"} if row.keyword.endswith("GroupUID") else set()
            )
        # PS3.15 E.3: the action Z may give a dummy value that is no identity; that is how pseudonyms come to be.
        if row.keyword in ("PatientID", "PatientName"):
            expected = {"D"}
        if found not in expected and not (found == "X" and "D" in expected and ds.file_meta and _unspeakable(tag)):
            wrong.append((row.keyword, found, expected))
    assert wrong == []


def _unspeakable(tag: Any) -> bool:
    """Whether no dummy can be written in this VR without meaning something."""
    return dictionary_VR(tag).split(" or ")[0] in ("OB", "UN", "AE", "UR")


def test_sequences_are_removed_emptied_or_entered(image: MakeImage, names: Pseudonyms) -> None:
    for tag in _rows(vr_of_sequences=True):
        item = Dataset()
        item.PatientName, item.ReferencedSOPInstanceUID = "DONT^LOGME", "1.2.3.4.5"
        ds = image()
        ds.add_new(tag, "SQ", [item])
        basic = table()[tag].basic
        done = deidentify(ds, names).dataset
        assert (tag in done) is (basic != "X"), table()[tag].keyword
        for left in done[tag].value if tag in done else ():
            assert left.PatientName != "DONT^LOGME" and left.ReferencedSOPInstanceUID == names.uid("1.2.3.4.5")


_THEIRS = """
import gdcm
for tag in gdcm.Anonymizer.GetBasicApplicationLevelConfidentialityProfileAttributes():
    print(tag.GetGroup() << 16 | tag.GetElement())
"""


def test_all_that_another_library_removes_stands_in_the_table() -> None:
    # In a process of its own: that call was twice seen to crash a process in which much else had run before.
    told = subprocess.run([sys.executable, "-c", _THEIRS], capture_output=True, text=True, check=True).stdout
    theirs = [Tag(int(number)) for number in told.split()]
    assert len(theirs) >= 45
    # Container of two of its attributes' kinds: the table of today names the reference, not the UID in it.
    assert [str(tag) for tag in theirs if tag not in table()] == []


def test_the_table_is_whole() -> None:
    rows = table()
    assert len(rows) == 652
    assert sum(Keep.DEVICE in row.options for row in rows.values()) == 57
    assert rows[Tag("PatientBirthDate")].options == {}
    dates = [row for tag, row in rows.items() if dictionary_has_tag(tag) and dictionary_VR(tag) in ("DA", "TM", "DT")]
    # No option keeps these three, which tell who somebody is or where.
    assert {row.keyword for row in dates if Keep.DATES not in row.options} == {
        "PatientBirthDate", "PatientBirthTime", "GPSTimeStamp",
    }  # fmt: skip
