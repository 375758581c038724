"""What operators have done with studies and deliveries, as the verbs do it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from dicomnode.report.rejection import TITLES
from dicomnode.store.listed import Listing
from dicomnode.web.acting import OperatorActs
from dicomnode.web.api.forms import Done, StudyUid
from dicomnode.web.desk import OpenStore
from dicomnode.web.problem import unknown

router = APIRouter(tags=["acts"])

Code = Literal["quality", "safety", "worklist"]
assert set(TITLES) == set(Code.__args__)  # type: ignore[attr-defined]

#: SQLite counts rows no further.
DeliveryId = Annotated[int, Path(ge=1, le=2**63 - 1, description="As `get_study` names it.")]


class Rerun(BaseModel):
    """How to analyse again."""

    of_what_is_here: str = Field(
        default="", max_length=500, description="Why objects that were removed do not come back; the result says so."
    )


class Retraction(BaseModel):
    """Why results are taken back."""

    reason: str = Field(min_length=1, max_length=500, description="In words for those who have read the results.")
    code: Code = Field(default="quality", description="The kind of reason, in code.")


class Complaint(BaseModel):
    """What a reader says of results."""

    reason: str = Field(min_length=1, max_length=500, description="What is wrong, in words that name no patient.")


@router.post("/studies/{study_uid}/retry", operation_id="retry_study", summary="Try again what failed")
def retry_study(study_uid: StudyUid, acts: OperatorActs, opened: OpenStore) -> Done:
    """Failed jobs run again, failed deliveries go out again, a hold ends."""
    _require(opened, study_uid)
    return Done(done=acts.retry(study_uid))


@router.post("/studies/{study_uid}/rerun", operation_id="rerun_study", summary="Analyse again")
def rerun_study(study_uid: StudyUid, acts: OperatorActs, opened: OpenStore, how: Rerun | None = None) -> Done:
    """A new analysis under new UIDs, with the rules and models as they are now."""
    _require(opened, study_uid)
    return Done(done=acts.rerun(study_uid, how.of_what_is_here if how else ""))


@router.post("/studies/{study_uid}/cancel", operation_id="cancel_study", summary="Drop what waits")
def cancel_study(study_uid: StudyUid, acts: OperatorActs, opened: OpenStore) -> Done:
    """Waiting jobs and deliveries are cancelled."""
    _require(opened, study_uid)
    return Done(done=acts.cancel(study_uid))


@router.post("/studies/{study_uid}/retract", operation_id="retract_study", summary="Take back what was sent")
def retract_study(study_uid: StudyUid, acts: OperatorActs, opened: OpenStore, why: Retraction) -> Done:
    """Every result is taken back where it was sent, and what was not sent is cancelled."""
    _require(opened, study_uid)
    return Done(done=acts.retract(study_uid, why.reason, why.code))


@router.post("/studies/{study_uid}/flag", operation_id="flag_study", summary="Say that a result is wrong")
def flag_study(study_uid: StudyUid, acts: OperatorActs, opened: OpenStore, what: Complaint) -> Done:
    """It stands in the story of the study, and counts against the model."""
    _require(opened, study_uid)
    return Done(done=acts.flag(study_uid, what.reason))


@router.post("/deliveries/{delivery_id}/resend", operation_id="resend_delivery", summary="Send one result again")
def resend_delivery(delivery_id: DeliveryId, acts: OperatorActs) -> Done:
    """The same bytes go to the same destination once more."""
    return Done(done=acts.resend(delivery_id))


def _require(opened: OpenStore, study_uid: str) -> None:
    # The verbs take the beginning of a UID; from a program only the whole will do.
    if Listing(opened.db).study(study_uid) is None:
        raise unknown(f"study {study_uid}")
