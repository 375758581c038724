"""Every status that the node answers with, and what it makes of each that it is answered with, asked of the code."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from dicomnode.deliver.commitment import _WORDS, status_text
from dicomnode.deliver.outcome import ABORT_REASONS, REJECTIONS, Verdict, verdict_of
from dicomnode.deliver.stow_answer import Answered, judged
from dicomnode.domain.commitment import Failure, reason_text
from dicomnode.domain.errors import OutOfResources, Refused
from dicomnode.flow.conformance.form import Table
from dicomnode.receive import commitment, refusal, stow_part
from dicomnode.receive.answer import SUCCESS

_MEANS = {
    Verdict.STORED: "stored: the delivery is done",
    Verdict.BUSY: "tried again, with growing pauses, without end",
    Verdict.REFUSED: "the delivery fails visibly; what stands in for the object is sent",
    Verdict.DUPLICATE: "asked by C-FIND or QIDO-RS whether it is there: then stored, else failed",
}

#: Where statuses of their own are declared; importing them is what makes them known.
_DECLARED_IN = (refusal, stow_part, commitment)


def refusals() -> list[type[Refused]]:
    """Every way in which an object or a request is refused."""
    found: list[type[Refused]] = [Refused]
    for one in found:
        found += [below for below in one.__subclasses__() if below.__module__.startswith("dicomnode.")]
    return sorted(dict.fromkeys(found), key=lambda one: (one.status, one.__name__))


def storage_scp() -> Table:
    """What a sender hears by C-STORE."""
    web = {stow_part.__name__, commitment.__name__}
    rows = [("0000", "Success", "the object is on the disk and in the books; also of an identical resend")]
    rows += [
        (f"{one.status:04X}", "Failure", _first_sentence(one))
        for one in refusals() if one.__module__ not in web and one is not Refused
    ]  # fmt: skip
    return Table(title="C-STORE responses of the SCP", columns=("status", "kind", "when"), rows=tuple(sorted(rows)))


def stow_server() -> Table:
    """Failure Reasons of STOW-RS that C-STORE does not have."""
    rows = tuple(
        (f"{one.status:04X}", _first_sentence(one)) for one in refusals() if one.__module__ == stow_part.__name__
    )
    return Table(title="Further Failure Reasons of STOW-RS", columns=("Failure Reason", "when"), rows=rows)


def storage_scu() -> Table:
    """What each C-STORE status of a peer means for a delivery, for all that a status can be."""
    rows = ((text, str(verdict), _MEANS[verdict]) for text, verdict in _runs(range(0x10000), verdict_of, "04X"))
    return Table(title="C-STORE responses to the SCU", columns=("status", "verdict", "then"), rows=tuple(rows))


def stow_client() -> Table:
    """What an HTTP status means where nothing is said of the object itself."""

    def verdict(status: int) -> Verdict:
        return judged(Answered(status=status, media_type="", content=b""), "1.2").verdict

    rows = ((text, str(one), _MEANS[one]) for text, one in _runs(range(100, 600), verdict, "d"))
    return Table(title="HTTP statuses to the user agent", columns=("status", "verdict", "then"), rows=tuple(rows))


def commitment_scp() -> Table:
    """What N-ACTION and N-EVENT-REPORT are answered with."""
    known = (
        SUCCESS, refusal.ProcessingFailure.status, commitment._NO_SUCH_INSTANCE, commitment._NO_SUCH_EVENT,
        commitment._INVALID_VALUE, commitment._NO_SUCH_CLASS, commitment._NO_SUCH_ACTION, commitment._NO_RESOURCES,
        *(one.status for one in refusals() if one.__name__ == "NotAuthorised"),
    )  # fmt: skip
    rows = tuple((f"{one:04X}", status_text(one)[5:] if one else "success") for one in sorted(set(known)))
    return Table(title="N-ACTION and N-EVENT-REPORT responses", columns=("status", "meaning"), rows=rows)


def commitment_scu() -> Table:
    """What a peer's refusal of a request for commitment is told as."""
    rows = tuple((f"{code:04X}", words) for code, words in sorted(_WORDS.items()))
    title = "Statuses of a peer that are told in words; any but 0000 means not asked, and is tried again"
    return Table(title=title, columns=("status", "meaning"), rows=rows)


def failure_reasons() -> Table:
    """Why an object is not committed."""
    rows = tuple((reason_text(one)[:4], reason_text(one)[5:]) for one in sorted(Failure))
    return Table(title="Failure Reasons of storage commitment", columns=("Failure Reason", "meaning"), rows=rows)


def rejections() -> Table:
    """How a rejection or abort by a peer is told."""
    rows = tuple((f"{source}/{reason}", words) for (source, reason), words in sorted(REJECTIONS.items()))
    aborts = tuple((f"abort 2/{reason}", words) for reason, words in sorted(ABORT_REASONS.items()))
    title = "Rejections and aborts by a peer: nothing was sent, and the association is tried again"
    return Table(title=title, columns=("source/reason", "told as"), rows=(*rows, *aborts))


def _first_sentence(error: type[Refused]) -> str:
    retry = " The sender may try again." if error is OutOfResources else ""
    return (inspect.getdoc(error) or "").split("\n\n")[0].replace("\n", " ").split("; ")[0].rstrip(".") + "." + retry


def _runs(codes: Iterable[int], judge: Callable[[int], Verdict], form: str) -> Iterator[tuple[str, Verdict]]:
    """Ranges of statuses that mean the same; the most frequent comes last, as all others."""
    runs = [(verdict, list(group)) for verdict, group in groupby(codes, judge)]
    sizes = {verdict: sum(len(run) for one, run in runs if one is verdict) for verdict, _ in runs}
    usual = max(sizes, key=lambda one: sizes[one])
    for verdict in sorted(sizes, key=lambda one: sizes[one]):
        told = [f"{run[0]:{form}}" + (f"–{run[-1]:{form}}" if run[1:] else "") for one, run in runs if one is verdict]
        yield ("any other" if verdict is usual else ", ".join(told)), verdict
