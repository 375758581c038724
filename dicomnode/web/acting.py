"""What callers may have done, by their role; what they do is recorded under their name and address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Request

from dicomnode.audit.event import Participant
from dicomnode.audit.people import somebody
from dicomnode.flow.asked.accounts import Accounts
from dicomnode.flow.asked.acts import Acts
from dicomnode.flow.audited.trail import tell_act
from dicomnode.flow.shown.taken import tell_search
from dicomnode.web.access import Administrator, Caller, Operator
from dicomnode.web.desk import Opened, OpenStore, SettingsNow, desk_of
from dicomnode.web.rates import Rate


def participant(request: Request, name: str) -> Participant:
    """Somebody as the audit trail names them."""
    return somebody(name, request.client.host if request.client else "")


def tell_seen(request: Request, caller: Caller, opened: Opened, study_uid: str) -> None:
    """Record that a caller who may see names looks at a study, once in a while however often they look.

    Raises
    ------
    OutOfResources
        It cannot be recorded and has to be.
    """
    seen: Rate = request.app.state.seen
    key = f"{caller.name} {study_uid}"
    if caller.sees_names and not seen.wait(key):
        who, settings = participant(request, caller.name), desk_of(request).settings
        tell_act(opened.db, settings, study_uid, "seen: shown with the patient's name", who)
        # Only now: who was refused because it could not be recorded is not let in the next time.
        seen.take(key)


def tell_listed(request: Request, caller: Caller, asked: Mapping[str, object]) -> None:
    """Record that a caller who may see names asks for several studies at once, each question once in a while.

    Parameters
    ----------
    asked
        What was searched for; what is empty is left out.

    Raises
    ------
    OutOfResources
        It cannot be recorded and has to be.
    """
    if not caller.sees_names:
        return
    path = request.url.path
    words = json.dumps({name: value for name, value in asked.items() if value}, default=str)
    seen: Rate = request.app.state.seen
    key = f"{caller.name} {path} {words}"
    if not seen.wait(key):
        tell_search(desk_of(request).settings, participant(request, caller.name), path, words)
        seen.take(key)


def _acts(request: Request, caller: Caller, opened: OpenStore, settings: SettingsNow) -> Acts:
    return Acts(opened.db, opened.files, settings, participant(request, caller.name))


def _operator(request: Request, caller: Operator, opened: OpenStore, settings: SettingsNow) -> Acts:
    return _acts(request, caller, opened, settings)


def _administrator(request: Request, caller: Administrator, opened: OpenStore, settings: SettingsNow) -> Acts:
    return _acts(request, caller, opened, settings)


def _accounts(request: Request, caller: Administrator, opened: OpenStore, settings: SettingsNow) -> Accounts:
    who = participant(request, caller.name)
    return Accounts(opened.db, settings, who, grants_names=caller.sees_names)


OperatorActs = Annotated[Acts, Depends(_operator)]
AdministratorActs = Annotated[Acts, Depends(_administrator)]
AdministratorAccounts = Annotated[Accounts, Depends(_accounts)]
