"""What the peer is told about an object that is not taken."""

from __future__ import annotations

import errno

import pytest

from dicomnode.domain.errors import (
    CannotUnderstand,
    NotAuthorised,
    OutOfResources,
    Refused,
    SOPClassMismatch,
)
from dicomnode.receive.answer import answer, refusal_of_os
from dicomnode.receive.refusal import Contradiction, NotUnderstood, ProcessingFailure


def test_success_carries_nothing_else() -> None:
    assert answer(None) == (0x0000, "", None)


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (OutOfResources("full"), 0xA700),
        (SOPClassMismatch("other class"), 0xA900),
        (CannotUnderstand("cut"), 0xC000),
        (NotAuthorised("no"), 0x0124),
        (ProcessingFailure("oops"), 0x0110),
        (NotUnderstood("no study", offending=0x0020000D), 0xC000),
        (Contradiction("other class", offending=0x00080016), 0xA900),
    ],
)
def test_every_refusal_has_its_status_and_a_comment(refusal: Refused, status: int) -> None:
    told = answer(refusal)

    assert told.status == status
    assert told.comment == str(refusal)


def test_a_long_comment_is_cut_to_what_the_standard_allows() -> None:
    told = answer(CannotUnderstand("é\\" * 60))

    assert told.comment == "?/" * 32


def test_the_offending_element_is_named_where_known() -> None:
    assert answer(NotUnderstood("no study", offending=0x0020000D)).offending == 0x0020000D
    assert answer(CannotUnderstand("cut")).offending is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE])
def test_a_disk_that_does_not_take_more_means_out_of_resources(number: int) -> None:
    assert refusal_of_os(OSError(number, "disk trouble")).status == 0xA700


def test_any_other_error_of_the_system_means_processing_failure() -> None:
    assert refusal_of_os(PermissionError(errno.EACCES, "not allowed")).status == 0x0110


def test_no_refusal_of_the_family_is_a_warning_or_success() -> None:
    kinds: list[type[Refused]] = [Refused, *Refused.__subclasses__()]
    for kind in kinds:
        assert kind.status >> 12 in {0x0, 0xA, 0xC}
        assert kind.status != 0
