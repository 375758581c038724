"""States of studies, jobs and deliveries, the legal arrows between them, and how long to wait before a retry."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from dicomnode.domain.identity import Correction
from dicomnode.domain.prior import Prior

_WORK_ARROWS = (
    ("waiting", "claimed", "running"),
    ("running", "finished", "done"),
    ("running", "retried", "waiting"),
    ("running", "failed", "failed"),
    ("failed", "requeued", "waiting"),
    ("waiting", "cancelled", "cancelled"),
)

#: entity → (state before, name of the arrow, state after); the store's `transition` table holds the same rows.
TRANSITIONS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "study": (
        ("receiving", "settled", "settled"),
        ("receiving", "abandoned", "abandoned"),
        ("settled", "reopened", "receiving"),
        ("abandoned", "reopened", "receiving"),
    ),
    "job": _WORK_ARROWS,
    "delivery": (*_WORK_ARROWS, ("done", "lost", "waiting"), ("done", "not kept", "failed")),
    "prior": (
        ("waiting", "fetched", "fetched"),
        ("waiting", "given up", "failed"),
        ("waiting", "cancelled", "cancelled"),
        ("fetched", "handed over", "done"),
        ("fetched", "cancelled", "cancelled"),
    ),
}


class Occasion(StrEnum):
    """Why an object of a job was made; a destination gets what it takes of each occasion."""

    RESULT = ""
    OVERDUE = "overdue"
    WITHDRAWAL = "withdrawal"


class Confirmation(StrEnum):
    """By what a destination has said that it keeps an object: more than the status of its C-STORE response."""

    NONE = ""
    COMMITMENT = "commitment"
    QUERY = "query"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waiting times that double from `first` up to `longest`, for as long as it takes.

    A PACS upgrade lasts a weekend, so there is no last attempt: the waiting grows, the promise stays.
    """

    first: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(minutes=15)

    def delay(self, failures: int) -> timedelta:
        """Time to wait after `failures` failures in a row (1 or more)."""
        return min(self.first * (1 << min(failures - 1, 20)), self.longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInput:
    """One frozen input file of a job; `input` names the input of the model that it belongs to."""

    input: str
    sop_instance_uid: str
    digest: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One rule applied to the series of one frame of reference of one study revision.

    Attributes
    ----------
    series_instance_uid
        The series of the model's first input.
    run
        1 for the first analysis of these inputs with this recipe; a forced repetition counts up.
    inputs
        The files as they were when the study settled; later arrivals do not change them.
    attempts
        How often the job has been claimed, the present claim included.
    lease
        Who holds the claim; empty while waiting.
    research, received
        As in `domain.finding.Provenance`.
    priors
        Earlier studies of the patient that were at hand when the job was made.
    unheard
        In words which peers have not told all that they have of the patient.
    corrections
        What archives say of whose the study is, in place of what the inputs say.
    """

    job_id: int
    study_instance_uid: str
    revision: int
    rule: str
    model: str
    series_instance_uid: str
    input_digest: str
    recipe_digest: str
    run: int
    inputs: tuple[JobInput, ...] = field(repr=False)
    destinations: tuple[str, ...]
    outputs: tuple[str, ...]
    refusal: str
    attempts: int
    lease: str
    created_at: datetime
    research: bool = True
    received: str = ""
    priors: tuple[Prior, ...] = ()
    unheard: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One object that a job has made, as one destination sees it.

    Several forms say the same: a report that refers to the SEG, one that does not, one of an older SOP class. A
    destination gets one of them.

    Attributes
    ----------
    role
        Unique within the job.
    kind
        What it is to a reader: one of `config.OUTPUTS`, a notice in words (`refusal`, `refusal-picture`), or a
        `rejection` note.
    refers_to
        Roles, with blanks between, of the forms that have to be stored before it; empty for none.
    state
        Of the delivery to that destination; empty when none is owed.
    in_doubt
        Whether it was being sent there once and no answer is known.
    """

    result_id: int
    role: str
    kind: str
    refers_to: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    occasion: str = Occasion.RESULT
    state: str = ""
    in_doubt: bool = False

    @property
    def references(self) -> frozenset[str]:
        """Roles of the forms that it refers to."""
        return frozenset(self.refers_to.split())

    @property
    def offered(self) -> bool:
        """Whether the destination has it, or may have it: its answer may have been lost."""
        return self.state in ("done", "running") or (self.state == "waiting" and self.in_doubt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One result object that one destination shall have."""

    delivery_id: int
    job_id: int
    study_instance_uid: str
    destination: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    path: Path
    attempts: int
    lease: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a destination answered to one object.

    Attributes
    ----------
    status
        The DIMSE status of the C-STORE response (PS3.4 Table B.2-1); 0 is Success, Bxxx are warnings and mean stored.
        None when the object was never offered because no presentation context for it was accepted.
    stored
        Whether the peer has the object now.
    final
        For an object that is not stored: whether sending it again is pointless.
    text
        The status in words of ours.
    comment
        The peer's Error Comment, which may name the patient.
    """

    sop_instance_uid: str
    status: int | None
    stored: bool
    final: bool
    text: str
    comment: str = field(default="", repr=False)

    @property
    def words(self) -> str:
        """All that was answered: for the study's story, and never for a log."""
        return f"{self.text}: {self.comment}" if self.comment else self.text
