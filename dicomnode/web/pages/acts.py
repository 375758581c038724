"""What an operator does to one study from its page, as the verbs do it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import Response

from dicomnode.store.again import Again
from dicomnode.web.access import Operator
from dicomnode.web.acting import OperatorActs
from dicomnode.web.api.acts import PLAIN, WholeStudy
from dicomnode.web.desk import OpenStore
from dicomnode.web.pages.drawing import back
from dicomnode.web.problem import unknown

router = APIRouter(include_in_schema=False)

#: SQLite counts rows no further.
RowNumber = Annotated[int, Path(ge=1, le=2**63 - 1)]
ReasonField = Annotated[str, Form(max_length=500, pattern=PLAIN)]


@router.post("/studies/{study_uid}/retry")
def retry(request: Request, caller: Operator, acts: OperatorActs, study_uid: WholeStudy) -> Response:
    """Try what failed again, and end a hold."""
    return back(request, caller, f"/studies/{study_uid}", acts.retry(study_uid))


@router.post("/studies/{study_uid}/rerun")
def rerun(
    request: Request, caller: Operator, acts: OperatorActs, study_uid: WholeStudy, reason: ReasonField = ""
) -> Response:
    """Analyse again under new UIDs; `reason` says why without the objects that were removed, where some were."""
    return back(request, caller, f"/studies/{study_uid}", acts.rerun(study_uid, reason))


@router.post("/studies/{study_uid}/cancel")
def cancel(request: Request, caller: Operator, acts: OperatorActs, study_uid: WholeStudy) -> Response:
    """Drop what waits."""
    return back(request, caller, f"/studies/{study_uid}", acts.cancel(study_uid))


@router.post("/studies/{study_uid}/retract")
def retract(
    request: Request,
    caller: Operator,
    acts: OperatorActs,
    study_uid: WholeStudy,
    reason: ReasonField = "",
    code: Annotated[str, Form(max_length=20)] = "quality",
) -> Response:
    """Take back what was sent."""
    return back(request, caller, f"/studies/{study_uid}", acts.retract(study_uid, reason, code))


@router.post("/studies/{study_uid}/flag")
def flag(
    request: Request, caller: Operator, acts: OperatorActs, study_uid: WholeStudy, reason: ReasonField = ""
) -> Response:
    """Note what is wrong with a result."""
    return back(request, caller, f"/studies/{study_uid}", acts.flag(study_uid, reason), "warn")


@router.post("/studies/{study_uid}/deliveries/{delivery_id}/resend")
def resend(
    request: Request,
    caller: Operator,
    acts: OperatorActs,
    opened: OpenStore,
    study_uid: WholeStudy,
    delivery_id: RowNumber,
) -> Response:
    """Send one result to one destination again."""
    if Again(opened.db).study_of(delivery_id) != study_uid:
        raise unknown(f"delivery {delivery_id}")
    return back(request, caller, f"/studies/{study_uid}", acts.resend(delivery_id))
