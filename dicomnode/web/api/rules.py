"""The rules, and what each would say to a file or to a study in the store."""

from __future__ import annotations

import tempfile
from pathlib import Path
from shutil import copyfileobj

from fastapi import APIRouter, Request, UploadFile
from pydantic import BaseModel

from dicomnode.flow.asked.rules import RuleShown, rules_shown
from dicomnode.flow.asked.trial import Trial, try_file, try_study
from dicomnode.web.access import Viewer
from dicomnode.web.acting import tell_seen
from dicomnode.web.api.forms import StudyUid
from dicomnode.web.desk import OpenStore, SettingsNow
from dicomnode.web.problem import unknown

router = APIRouter(tags=["rules"])


class Rules(BaseModel):
    """Every rule, in the order of the configuration."""

    rules: list[RuleShown]


@router.get("/rules", operation_id="list_rules", summary="Rules")
def list_rules(caller: Viewer, settings: SettingsNow) -> Rules:
    """With their conditions in words."""
    return Rules(rules=rules_shown(settings))


@router.post("/rules/test", operation_id="test_file", summary="Which rule matches a file")
def test_file(caller: Viewer, settings: SettingsNow, file: UploadFile) -> Trial:
    """Rule by rule, which clause holds; the file is judged as if it had come from nobody known, and not kept."""
    with tempfile.NamedTemporaryFile(prefix="tested-") as copy:
        copyfileobj(file.file, copy)
        copy.flush()
        return try_file(settings, Path(copy.name), sees_names=caller.sees_names)


@router.get("/studies/{study_uid}/rules", operation_id="test_study", summary="Which rule matches a study")
def test_study(
    request: Request, study_uid: StudyUid, caller: Viewer, opened: OpenStore, settings: SettingsNow
) -> Trial:
    """Rule by rule and series by series, as the rules are now."""
    tried = try_study(settings, opened.db, opened.files, study_uid, sees_names=caller.sees_names)
    if tried is None:
        raise unknown(f"study {study_uid}")
    tell_seen(request, caller, opened, study_uid)
    return tried
