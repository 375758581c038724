"""What operators have done with studies and deliveries, as the verbs do it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
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


def _whole(study_uid: StudyUid, opened: OpenStore) -> str:
    """The verbs take the beginning of a UID; over the network only the whole will do."""
    if Listing(opened.db).study(study_uid) is None:
        raise unknown(f"study {study_uid}")
    return study_uid


#: A study that is in the books, by its whole UID.
WholeStudy = Annotated[str, Depends(_whole)]

#: What somebody says in words: lines of them, and nothing that a terminal or another system could take for more.
PLAIN = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"


class Rerun(BaseModel):
    """How to analyse again."""

    of_what_is_here: str = Field(
        default="",
        max_length=500,
        pattern=PLAIN,
        description="Why objects that were removed do not come back; the result says so.",
    )


class Retraction(BaseModel):
    """Why results are taken back."""

    reason: str = Field(
        min_length=1, max_length=500, pattern=PLAIN, description="In words for those who have read the results."
    )
    code: Code = Field(default="quality", description="The kind of reason, in code.")


class Complaint(BaseModel):
    """What a reader says of results."""

    reason: str = Field(
        min_length=1, max_length=500, pattern=PLAIN, description="What is wrong, in words that name no patient."
    )


@router.post("/studies/{study_uid}/retry", operation_id="retry_study", summary="Try again what failed")
def retry_study(acts: OperatorActs, study_uid: WholeStudy) -> Done:
    """Failed jobs run again, failed deliveries go out again, a hold ends."""
    return Done(done=acts.retry(study_uid))


@router.post("/studies/{study_uid}/rerun", operation_id="rerun_study", summary="Analyse again")
def rerun_study(acts: OperatorActs, study_uid: WholeStudy, how: Rerun | None = None) -> Done:
    """A new analysis under new UIDs, with the rules and models as they are now."""
    return Done(done=acts.rerun(study_uid, how.of_what_is_here if how else ""))


@router.post("/studies/{study_uid}/cancel", operation_id="cancel_study", summary="Drop what waits")
def cancel_study(acts: OperatorActs, study_uid: WholeStudy) -> Done:
    """Waiting jobs and deliveries are cancelled."""
    return Done(done=acts.cancel(study_uid))


@router.post("/studies/{study_uid}/retract", operation_id="retract_study", summary="Take back what was sent")
def retract_study(acts: OperatorActs, study_uid: WholeStudy, why: Retraction) -> Done:
    """Every result is taken back where it was sent, and what was not sent is cancelled."""
    return Done(done=acts.retract(study_uid, why.reason, why.code))


@router.post("/studies/{study_uid}/flag", operation_id="flag_study", summary="Say that a result is wrong")
def flag_study(acts: OperatorActs, study_uid: WholeStudy, what: Complaint) -> Done:
    """It stands in the story of the study, and counts against the model."""
    return Done(done=acts.flag(study_uid, what.reason))


@router.post("/deliveries/{delivery_id}/resend", operation_id="resend_delivery", summary="Send one result again")
def resend_delivery(delivery_id: DeliveryId, acts: OperatorActs) -> Done:
    """The same bytes go to the same destination once more."""
    return Done(done=acts.resend(delivery_id))
