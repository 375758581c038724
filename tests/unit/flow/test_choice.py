"""Each destination gets the richest form of a result that it takes, and each result once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from dicomnode.domain.network import Acceptance
from dicomnode.domain.work import Form
from dicomnode.flow.forms import choose

EXPLICIT, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"

#: role → kind, what it refers to, SOP class (by a short name).
ALL = {
    "seg": ("seg", "", "SEG"),
    "labelmap": ("labelmap", "", "LABELMAP"),
    "sr": ("sr", "seg", "3D"),
    "sr-comprehensive": ("sr", "seg", "COMPREHENSIVE"),
    "sr-enhanced": ("sr", "seg", "ENHANCED"),
    "sr-with-labelmap": ("sr", "labelmap", "3D"),
    "sr-without-seg": ("sr", "", "3D"),
    "sr-without-seg-comprehensive": ("sr", "", "COMPREHENSIVE"),
    "radiomics": ("radiomics", "seg", "3D"),
    "radiomics-without-seg": ("radiomics", "", "3D"),
    "rtstruct": ("rtstruct", "", "RTSTRUCT"),
    "picture-1": ("picture", "", "SC"),
    "picture-2": ("picture", "", "SC"),
    "pdf": ("pdf", "", "PDF"),
}
REFUSED = {"refusal": ("refusal", "", "ENHANCED"), "refusal-picture": ("refusal-picture", "", "SC")}
CLASSES = {sop_class for _, _, sop_class in ALL.values()}


def forms(*roles: str, made: dict[str, tuple[str, str, str]] = ALL, **states: str) -> list[Form]:
    return [
        Form(
            result_id=number, role=role, kind=made[role][0], refers_to=made[role][1], sop_class_uid=made[role][2],
            sop_instance_uid=f"9.{number}", transfer_syntax_uid=EXPLICIT, state=states.get(role.replace("-", "_"), ""),
            in_doubt=states.get(role.replace("-", "_")) == "waiting",
        )
        for number, role in enumerate(roles or made)
    ]  # fmt: skip


def accepting(*classes: str) -> Acceptance:
    results = {(one, EXPLICIT): 0 if one in classes else 3 for one in CLASSES}
    return Acceptance(asked_at=datetime(2026, 11, 21, tzinfo=UTC), results=results)


def roles(found: Sequence[Form]) -> list[str]:
    return [form.role for form in found]


def test_a_peer_that_was_never_asked_is_offered_the_richest_form_of_everything() -> None:
    assert roles(choose(forms(), (), None)) == ["seg", "rtstruct", "pdf", "radiomics", "sr"]


def test_where_the_seg_is_refused_pictures_stand_in_and_no_report_refers_to_it() -> None:
    known = accepting("3D", "SC")
    expected = ["picture-1", "picture-2", "radiomics-without-seg", "sr-without-seg"]
    assert roles(choose(forms(), (), known)) == expected


def test_a_labelmap_goes_where_it_is_accepted_and_the_seg_is_not() -> None:
    chosen = roles(choose(forms(), (), accepting("LABELMAP", "3D")))
    assert (chosen[0], chosen[-1]) == ("labelmap", "sr-with-labelmap")


@pytest.mark.parametrize(
    ("accepted", "report"),
    [(("SEG", "COMPREHENSIVE"), "sr-comprehensive"), (("SEG", "ENHANCED"), "sr-enhanced"),
     (("COMPREHENSIVE",), "sr-without-seg-comprehensive")],
)  # fmt: skip
def test_the_newest_class_of_report_is_sent_that_is_accepted(accepted: tuple[str, ...], report: str) -> None:
    assert [role for role in roles(choose(forms(), (), accepting(*accepted))) if role.startswith("sr")] == [report]


#: A report in every company, the largest first.
ROOTS = {
    **{role: one for role, one in ALL.items() if one[0] != "sr"},
    "sr": ("sr", "seg rtstruct radiomics picture-1 picture-2 pdf", "3D"),
    "sr-with-seg-and-more": ("sr", "seg rtstruct radiomics pdf", "3D"),
    "sr-with-seg": ("sr", "seg", "3D"),
    "sr-without-seg-and-more": ("sr", "rtstruct radiomics-without-seg picture-1 picture-2 pdf", "3D"),
    "sr-without-seg": ("sr", "", "3D"),
}


@pytest.mark.parametrize(
    ("takes", "refused", "report"),
    [
        ((), (), "sr-with-seg-and-more"),
        ((), ("PDF",), "sr-with-seg"),
        ((), ("SEG",), "sr-without-seg-and-more"),
        ((), ("SEG", "RTSTRUCT"), "sr-without-seg"),
        (("seg", "sr", "radiomics", "rtstruct", "picture", "pdf"), (), "sr"),
        (("seg", "sr"), (), "sr-with-seg"),
        (("picture", "sr"), (), "sr-without-seg"),
    ],
)
def test_a_report_refers_to_as_much_as_a_destination_gets_and_goes_last(
    takes: tuple[str, ...], refused: tuple[str, ...], report: str
) -> None:
    chosen = choose(forms(made=ROOTS), takes, accepting(*CLASSES - {"LABELMAP", *refused}))
    assert chosen[-1].role == report
    assert chosen[-1].references <= set(roles(chosen[:-1]))


def test_a_report_gives_way_when_one_of_the_objects_that_it_refers_to_is_refused() -> None:
    states = {
        "seg": "done",
        "rtstruct": "failed",
        "radiomics": "done",
        "pdf": "done",
        "sr_with_seg_and_more": "waiting",
    }
    assert roles(choose(forms(made=ROOTS, **states), (), None))[-1] == "sr-with-seg"
    assert roles(choose(forms(made=ROOTS, **states | {"sr_with_seg_and_more": "done"}), (), None))[-1] == (
        "sr-with-seg-and-more"
    ), "what is stored is not said twice"


def test_a_list_is_obeyed_also_against_what_the_peer_answered() -> None:
    chosen = roles(choose(forms(), ("labelmap", "sr", "picture"), accepting("3D")))
    assert chosen == ["labelmap", "picture-1", "picture-2", "sr-with-labelmap"]


def test_a_destination_of_reports_gets_one_that_refers_to_nothing_else() -> None:
    assert roles(choose(forms(), ("sr",), None)) == ["sr-without-seg"]


def test_a_refused_object_is_not_offered_again_but_what_says_the_same() -> None:
    assert roles(choose(forms(seg="failed"), ("seg", "sr"), None)) == ["sr-without-seg"]
    found = choose(forms("seg", "sr", "sr-comprehensive", seg="done", sr="failed"), (), None)
    assert roles(found) == ["seg", "sr-comprehensive"]


@pytest.mark.parametrize("state", ["done", "running", "waiting"])
def test_what_was_perhaps_offered_already_is_not_exchanged_for_a_richer_form(state: str) -> None:
    found = choose(forms(sr_comprehensive=state, seg="done"), (), None)
    assert [role for role in roles(found) if role.startswith("sr")] == ["sr-comprehensive"]


def test_a_report_whose_seg_was_refused_goes_even_if_it_was_claimed() -> None:
    found = choose(forms("seg", "sr", "sr-without-seg", sr="waiting", seg="failed"), (), None)
    assert [role for role in roles(found) if role.startswith("sr")] == ["sr-without-seg"]


def test_a_destination_that_accepts_nothing_is_offered_the_report_so_that_its_refusal_is_seen() -> None:
    assert roles(choose(forms(), (), accepting())) == ["sr-without-seg"]


def test_an_analysis_without_anything_that_a_destination_lists_is_reported_to_it() -> None:
    alone = {"sr": ("sr", "", "3D")}
    assert roles(choose(forms(made=alone), ("rtstruct",), None)) == ["sr"]


@pytest.mark.parametrize(
    ("takes", "expected"),
    [((), ["refusal-picture", "refusal"]), (("seg", "sr"), ["refusal"]), (("picture",), ["refusal-picture"]),
     (("rtstruct",), ["refusal"])],
)  # fmt: skip
def test_every_destination_is_told_why_there_is_no_result(takes: tuple[str, ...], expected: list[str]) -> None:
    assert roles(choose(forms(made=REFUSED), takes, None)) == expected


def test_an_object_is_converted_among_uncompressed_syntaxes_and_no_others() -> None:
    implicit = "1.2.840.10008.1.2"
    known = Acceptance(
        asked_at=datetime(2026, 11, 21, tzinfo=UTC), results={("A", EXPLICIT): 4, ("A", implicit): 0, ("A", RLE): 4}
    )
    assert known.takes("A", EXPLICIT) and not known.takes("A", RLE)
    assert known.takes("B", EXPLICIT), "nobody asked about that class"
