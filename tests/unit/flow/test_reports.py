"""Forms of a report: those that the destinations of a job need, the largest company first, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from pydicom import Dataset
from pydicom.uid import Comprehensive3DSRStorage, ExplicitVRLittleEndian

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.network import Acceptance, Peer
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.output import Output, encode_as
from dicomnode.flow.reports import reports
from dicomnode.flow.takers import Taker

UIDS = ResultUids(study_instance_uid="1.2", rule="r", input_digest="i", recipe_digest="r", run=1)
CLASSES = {"seg": "66.4", "labelmap": "66.7", "rtstruct": "481.3", "picture": "7", "pdf": "104.1", "map": "30"}
COMPREHENSIVE, ENHANCED = "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.88.22"


def sop_class(kind: str) -> str:
    return f"1.2.840.10008.5.1.4.1.1.{CLASSES[kind]}" if kind in CLASSES else Comprehensive3DSRStorage


def made(role: str, refers_to: str = "", *, kind: str = "", stands_in: bool = False) -> Output:
    kind = kind or role.split("-")[0]
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class(kind), UIDS.instance(role)
    return encode_as(role, kind, ds, refers_to, stands_in=stands_in)


MADE = tuple(made(role) for role in ("seg", "rtstruct", "map-1", "picture-1", "picture-2", "pdf"))


def peer(*outputs: str, **more: bool) -> Peer:
    return Peer(name="PACS", aet="PACS", host="127.0.0.1", port=104, outputs=outputs, **more)  # type: ignore[arg-type]


def taker(*outputs: str, refuses: Sequence[str] = ()) -> Taker:
    """A destination that has been asked."""
    known = {(sop_class(kind), str(ExplicitVRLittleEndian)): 3 * (kind in refuses) for kind in (*CLASSES, "sr")}
    known |= {(one, str(ExplicitVRLittleEndian)): 0 for one in (COMPREHENSIVE, ENHANCED)}
    return Taker(peer=peer(*outputs), known=Acceptance(asked_at=datetime(2026, 11, 21, tzinfo=UTC), results=known))


def write(uids: ResultUids, mask: Dataset | None, others: Sequence[Dataset]) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = Comprehensive3DSRStorage, uids.instance("sr")
    ds.ImageComments = " ".join(str(one.SOPInstanceUID) for one in ([mask] if mask else []) + list(others))
    return ds


def forms(objects: Sequence[Output], *takers: Taker, kind: str = "sr") -> list[Output]:
    found = list(reports(kind, write, UIDS, objects, takers))
    known = {one.role: str(one.dataset.SOPInstanceUID) for one in objects}
    for one in found:
        told = one.dataset.ImageComments.split()
        assert sorted(told) == sorted(known[role] for role in one.refers_to.split()), "it refers to what its form says"
    for distinct in ([str(one.dataset.SOPInstanceUID) for one in found], [one.role for one in found]):
        assert len(set(distinct)) == len(distinct)
    newest = [one for one in found if one.dataset.SOPClassUID == Comprehensive3DSRStorage]
    assert [one.stands_in for one in newest] == [False, *[True] * (len(newest) - 1)]
    return found


def companies(objects: Sequence[Output], *takers: Taker) -> dict[str, str]:
    return {one.role: one.refers_to for one in forms(objects, *takers) if str(one.dataset.SOPClassUID)[-2:] == "34"}


@pytest.mark.parametrize(
    ("takers", "expected"),
    [
        ([taker()], {"sr": "seg rtstruct map-1 pdf", "sr-with-seg": "seg", "sr-without-seg": ""}),
        ([taker(refuses=["map"])], {"sr": "seg rtstruct pdf", "sr-with-seg": "seg", "sr-without-seg": ""}),
        ([taker(refuses=["seg"])], {"sr": "rtstruct map-1 picture-1 picture-2 pdf", "sr-without-seg": ""}),
        ([taker("seg", "sr")], {"sr": "seg", "sr-without-seg": ""}),
        ([taker("sr")], {"sr": ""}),
        ([taker("sr", "rtstruct")], {"sr": "rtstruct", "sr-without-seg": ""}),
        ([taker("map", "sr")], {"sr": "map-1", "sr-without-seg": ""}),
        ([taker("picture")], {"sr": ""}),
        ([taker("seg", "sr", "picture")] * 2,
         {"sr": "seg picture-1 picture-2", "sr-with-seg": "seg", "sr-without-seg": ""}),
        ([taker("seg", "sr"), taker("sr", "pdf", "rtstruct")],
         {"sr": "rtstruct pdf", "sr-with-seg": "seg", "sr-without-seg": ""}),
        ([], {"sr": "seg rtstruct map-1 picture-1 picture-2 pdf"}),
    ],
)  # fmt: skip
def test_a_report_comes_in_the_company_that_each_destination_gets_and_with_less_where_that_may_be_refused(
    takers: list[Taker], expected: dict[str, str]
) -> None:
    found = companies(MADE, *takers)
    assert found == expected
    assert list(found) == list(expected), "the largest first"


def test_a_listed_object_that_is_known_to_be_refused_does_not_cost_the_reference_to_the_others() -> None:
    found = companies(MADE, taker("seg", "sr", "rtstruct", "pdf", refuses=["pdf"]))
    assert list(found.values()) == ["seg rtstruct pdf", "seg rtstruct", "seg", ""]


def test_a_destination_that_was_never_asked_may_turn_out_to_take_no_mask() -> None:
    found = companies(MADE, Taker(peer=peer()))
    assert set(found.values()) == {"seg rtstruct map-1 pdf", "rtstruct map-1 picture-1 picture-2 pdf", "seg", ""}


def test_older_classes_are_made_where_a_destination_is_not_known_to_take_the_newest() -> None:
    masks = MADE[:1]
    assert {one.role for one in forms(masks, taker())} == {"sr", "sr-without-seg"}
    every = {f"{role}{older}" for role in ("sr", "sr-without-seg") for older in ("", "-comprehensive", "-enhanced")}
    assert {one.role for one in forms(masks, taker(refuses=["sr"]))} == every
    assert {one.role for one in forms(masks, Taker(peer=peer()))} == every
    assert {one.role for one in forms(masks, Taker(), taker())} == every


def test_a_mask_in_another_form_has_reports_of_its_own() -> None:
    objects = (made("seg"), made("seg-all-frames", stands_in=True), MADE[-1])
    special = Taker(peer=peer(empty_frames=True), known=taker().known)
    assert set(companies(objects, taker(), special).values()) == {
        "seg pdf", "seg-all-frames pdf", "seg", "seg-all-frames", ""
    }  # fmt: skip


def test_the_radiomics_that_a_report_refers_to_are_those_on_the_mask_that_the_destination_gets() -> None:
    objects = (made("seg"), made("radiomics", "seg"), made("radiomics-without-seg", stands_in=True))
    assert companies(objects, taker()) == {"sr": "seg radiomics", "sr-with-seg": "seg", "sr-without-seg": ""}
    found = companies(objects, taker(refuses=["seg"]))
    assert found == {"sr": "radiomics-without-seg", "sr-without-seg": ""}


def test_the_same_name_never_stands_for_another_content() -> None:
    """Else an archive would keep the older object when a job is repeated after a destination has changed."""
    alone, more = forms(MADE, taker("seg", "sr"))[0], forms(MADE, taker("seg", "sr", "pdf"))[0]
    assert alone.role == more.role and alone.dataset.SOPInstanceUID != more.dataset.SOPInstanceUID


def test_a_report_that_says_nothing_is_not_made_in_any_form() -> None:
    assert list(reports("radiomics", lambda *_: None, UIDS, MADE, [taker()])) == []


def test_each_company_is_read_back_once_and_what_differs_stops_it() -> None:
    seen: list[bytes] = []
    found = list(reports("sr", write, UIDS, MADE[:1], [Taker(peer=peer())], seen.append))
    newest = [one.data for one in found if one.dataset.SOPClassUID == Comprehensive3DSRStorage]
    assert seen == newest
    assert len(found) == 3 * len(newest)

    def refuse(data: bytes) -> None:
        raise EncodingError("report: found another number")

    with pytest.raises(EncodingError, match="another number"):
        next(reports("sr", write, UIDS, MADE[:1], [Taker(peer=peer())], refuse))
