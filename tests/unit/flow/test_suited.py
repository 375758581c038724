"""A destination's entry decides whether it may have research, and in which form it gets masks."""

from __future__ import annotations

from typing import Any

import pytest

from dicomnode.config import parse
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Form
from dicomnode.flow.choice import Choice
from dicomnode.flow.forms import choose
from dicomnode.flow.outbox import Outbox
from dicomnode.flow.suited import special_masks, suited
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.owing import MADE, PEER, Answers, owe, states

#: role → kind, what it refers to.
MASKS = {
    "seg": ("seg", ""), "labelmap": ("labelmap", ""), "seg-all-frames": ("seg", ""),
    "labelmap-without-background": ("labelmap", ""), "sr": ("sr", "seg"),
    "sr-with-seg-all-frames": ("sr", "seg-all-frames"),
    "sr-with-labelmap": ("sr", "labelmap"),
    "sr-with-labelmap-without-background": ("sr", "labelmap-without-background"),
}  # fmt: skip


def forms(**states: str) -> list[Form]:
    return [
        Form(
            result_id=number, role=role, kind=kind, refers_to=refers_to, sop_class_uid="",
            sop_instance_uid=f"9.{number}", transfer_syntax_uid="", state=states.get(role.replace("-", "_"), ""),
        )
        for number, (role, (kind, refers_to)) in enumerate(MASKS.items())
    ]  # fmt: skip


def peer(**more: Any) -> Peer:
    return Peer(name="PACS", aet="PACS", host="127.0.0.1", port=104, **more)


@pytest.mark.parametrize(
    ("options", "takes", "expected"),
    [
        ({}, (), {"seg", "sr"}),
        ({"empty_frames": True}, (), {"seg-all-frames", "sr-with-seg-all-frames"}),
        ({}, ("labelmap", "sr"), {"labelmap", "sr-with-labelmap"}),
        (
            {"labelmap_background": False}, ("labelmap", "sr"),
            {"labelmap-without-background", "sr-with-labelmap-without-background"},
        ),
    ],
)  # fmt: skip
def test_a_destination_gets_its_mask_in_the_form_that_it_asks_for_and_the_report_on_that(
    options: dict[str, bool], takes: tuple[str, ...], expected: set[str]
) -> None:
    assert {form.role for form in choose(suited(forms(), peer(**options)), takes, None)} == expected


def test_a_mask_that_was_sent_is_not_sent_again_in_another_form() -> None:
    chosen = choose(suited(forms(seg="done", sr="done"), peer(empty_frames=True)), (), None)
    assert {form.role for form in chosen} == {"seg", "sr"}


def test_special_masks_are_made_only_for_who_asks() -> None:
    assert special_masks(peer()) == ()
    asking = peer(empty_frames=True, labelmap_background=False)
    assert special_masks(asking) == ("seg-all-frames", "labelmap-without-background")


def _left_out(db: Database) -> set[tuple[str, str]]:
    rows = db.rows("SELECT entity_id, detail FROM event WHERE arrow = 'left out'")
    return {(row["entity_id"], row["detail"]) for row in rows}


def test_a_sender_that_does_not_accept_research_gets_none_and_the_story_says_so(db: Database, files: Files) -> None:
    job = owe(db, files, accept_research=False)
    assert states(db) == {}
    kinds = {kind for _, kind, _, _ in MADE}
    roles = {next(role for role, other, _, _ in MADE if other == kind) for kind in kinds}
    assert _left_out(db) == {
        (f"{role} to PACS", "the result is for research, which it does not accept") for role in roles
    }
    db.execute("UPDATE job SET research = 0")
    with db.transaction():
        Choice(db, files).owe(job.job_id, "PACS", peer())
    assert set(states(db)) >= {"seg"}, "what is clinical goes"


def test_what_waits_is_withheld_when_a_peer_stops_accepting_research(db: Database, files: Files) -> None:
    owe(db, files)
    pacs = Answers()
    settings = parse({"peer": [{**PEER, "accept_research": False}]})
    outbox = Outbox(db, files, settings, pacs.send, "deliver-1")
    while outbox.run_once("PACS"):
        pass
    assert pacs.offered == [] and states(db) == {} and _left_out(db)
