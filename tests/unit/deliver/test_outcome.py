"""Every way in which a peer can end a conversation has its words."""

from __future__ import annotations

import logging

import pytest
from pynetdicom.pdu import A_ABORT_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS, code_to_category

from dicomnode.deliver.outcome import (
    CONTEXT_RESULTS,
    Verdict,
    abort_text,
    rejection_text,
    status_text,
    verdict_of,
)


def rejection(result: int, source: int, reason: int) -> A_ASSOCIATE:
    primitive = A_ASSOCIATE()
    primitive.result = result
    primitive.result_source = source
    primitive._diagnostic = reason  # the setter refuses the reserved ones, which peers send all the same
    return primitive


def test_every_rejection_that_the_library_knows_is_mapped(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    known = 0
    for result in (1, 2):
        for source in (1, 2, 3):
            for reason in range(256):
                answer = rejection(result, source, reason)
                if answer.reason_str != "(no value available)":
                    known += 1
                    assert "unknown" not in rejection_text(answer), (result, source, reason)
    assert known == 40


def test_a_rejection_outside_the_standard_still_gets_a_text() -> None:
    assert rejection_text(rejection(1, 1, 99)) == "association rejected permanently: unknown source 1 and reason 99"


def test_wrong_ae_titles_are_told_apart() -> None:
    assert "calling AE title" in rejection_text(rejection(1, 1, 3))
    assert "called AE title" in rejection_text(rejection(1, 1, 7))
    assert rejection_text(rejection(2, 3, 2)).startswith("association rejected for now: local limit exceeded")


def test_every_abort_that_the_library_knows_is_mapped() -> None:
    for source in (0, 1, 2):
        for reason in range(7):
            pdu = A_ABORT_RQ()
            pdu.source, pdu.reason_diagnostic = source, reason
            assert pdu.source_str
            assert pdu.reason_str is not None
            assert "unknown" not in abort_text(source, reason)
    assert "unknown source 9" in abort_text(9, 0)


def test_every_context_result_that_the_library_knows_is_mapped() -> None:
    for result in range(5):
        context = PresentationContext()
        context.result = result
        assert context.status != "Unknown"
        assert CONTEXT_RESULTS[result]


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0x0000, Verdict.STORED),
        (0xB000, Verdict.STORED),
        (0xB006, Verdict.STORED),
        (0xB007, Verdict.STORED),
        (0xA700, Verdict.BUSY),
        (0xA7FF, Verdict.BUSY),
        (0x0213, Verdict.BUSY),
        (0xA900, Verdict.REFUSED),
        (0xC000, Verdict.REFUSED),
        (0xCFFF, Verdict.REFUSED),
        (0x0110, Verdict.BUSY),
        (0x0122, Verdict.REFUSED),
        (0x0124, Verdict.REFUSED),
        (0xFFFF, Verdict.REFUSED),
    ],
)
def test_a_status_says_stored_busy_or_refused(status: int, verdict: Verdict) -> None:
    assert verdict_of(status) is verdict


def test_no_failure_of_the_storage_service_counts_as_stored() -> None:
    stored = {status for status in STORAGE_SERVICE_CLASS_STATUS if verdict_of(status) is Verdict.STORED}

    assert stored == {0x0000, 0xB000, 0xB006, 0xB007}
    assert {code_to_category(status) for status in stored} == {"Success", "Warning"}


def test_the_text_of_a_status_is_code_and_meaning() -> None:
    assert status_text(0xA700) == "A700 Refused: Out of Resources"
    assert status_text(0x0000) == "0000 Success"
    assert status_text(0xFFFE) == "FFFE status unknown to the standard"
