"""Forms of a report: by what they refer to, the largest company first, and by SOP class."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydicom import Dataset
from pydicom.uid import Comprehensive3DSRStorage, ExplicitVRLittleEndian

from dicomnode.domain.uid import ResultUids
from dicomnode.flow.output import Output
from dicomnode.flow.reports import reports

UIDS = ResultUids(study_instance_uid="1.2", rule="r", input_digest="i", recipe_digest="r", run=1)


def made(role: str, kind: str = "", refers_to: str = "", sop_class: str = Comprehensive3DSRStorage) -> Output:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, f"2.25.{abs(hash(role))}"
    return Output(role=role, kind=kind or role, refers_to=refers_to, dataset=ds, data=b"")


def write(uids: ResultUids, mask: Dataset | None, others: Sequence[Dataset]) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = Comprehensive3DSRStorage, uids.instance("sr")
    ds.ImageComments = " ".join(str(one.SOPInstanceUID) for one in ([mask] if mask else []) + list(others))
    return ds


def companies(masks: Sequence[str], *others: Output) -> dict[str, str]:
    """Role → what it refers to, of the forms in the newest class."""
    by_role = {role: made(role) for role in masks}
    found = list(reports("sr", write, UIDS, by_role, others))
    known = {role: str(one.dataset.SOPInstanceUID) for role, one in by_role.items()}
    known |= {one.role: str(one.dataset.SOPInstanceUID) for one in others}
    for one in found:
        told = one.dataset.ImageComments.split()
        assert sorted(told) == sorted(known[role] for role in one.refers_to.split()), "it refers to what its form says"
        assert one.dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    uids = [str(one.dataset.SOPInstanceUID) for one in found]
    assert len(set(uids)) == len(uids)
    newest = [one for one in found if one.dataset.SOPClassUID == Comprehensive3DSRStorage]
    assert [one.stands_in for one in newest] == [False, *[True] * (len(newest) - 1)]
    assert len(found) == 3 * len(newest)
    return {one.role: one.refers_to for one in newest}


RADIOMICS = (
    made("radiomics", "radiomics", "seg"),
    made("radiomics-comprehensive", "radiomics", "seg", "1.2.840.10008.5.1.4.1.1.88.33"),
    made("radiomics-without-seg", "radiomics"),
)
DRAWN = (made("picture-1", "picture"), made("pdf"))


@pytest.mark.parametrize(
    ("masks", "others", "expected"),
    [
        ((), (), {"sr": ""}),
        (("seg",), (), {"sr": "seg", "sr-without-seg": ""}),
        (("seg", "labelmap"), (),
         {"sr": "seg labelmap", "sr-with-seg": "seg", "sr-with-labelmap": "labelmap", "sr-without-seg": ""}),
        ((), DRAWN, {"sr": "picture-1 pdf", "sr-without-seg": ""}),
        (("seg",), DRAWN,
         {"sr": "seg picture-1 pdf", "sr-with-seg-and-more": "seg pdf", "sr-with-seg": "seg",
          "sr-without-seg-and-more": "picture-1 pdf", "sr-without-seg": ""}),
        (("seg",), RADIOMICS,
         {"sr": "seg radiomics", "sr-with-seg": "seg", "sr-without-seg-and-more": "radiomics-without-seg",
          "sr-without-seg": ""}),
    ],
)  # fmt: skip
def test_a_report_comes_in_every_company_that_a_destination_may_have(
    masks: Sequence[str], others: Sequence[Output], expected: dict[str, str]
) -> None:
    found = companies(masks, *others)
    assert found == expected
    assert list(found) == list(expected), "the largest first"


def test_a_report_that_says_nothing_is_not_made_in_any_form() -> None:
    assert list(reports("radiomics", lambda *_: None, UIDS, {"seg": made("seg")})) == []
