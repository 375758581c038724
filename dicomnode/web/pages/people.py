"""People and tokens, for administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from dicomnode.domain.role import Role
from dicomnode.flow.asked.allowed import SHORTEST_PASSCODE
from dicomnode.store.web_people import WebPeople
from dicomnode.store.web_tokens import WebTokens
from dicomnode.web.access import Administrator, Caller
from dicomnode.web.acting import AdministratorAccounts
from dicomnode.web.api.forms import AccountName
from dicomnode.web.desk import Opened, OpenStore
from dicomnode.web.pages.drawing import back, page

router = APIRouter(include_in_schema=False)

NameField = Annotated[str, Form(max_length=64)]


@router.get("/people")
def people(request: Request, caller: Administrator, opened: OpenStore) -> Response:
    """Who may sign in, and which programs have a token."""
    return _shown(request, caller, opened, made="", token="")


@router.post("/people")
def add_person(
    request: Request,
    caller: Administrator,
    accounts: AdministratorAccounts,
    name: NameField = "",
    passcode: Annotated[str, Form(max_length=256)] = "",
    role: Annotated[Role, Form()] = Role.VIEWER,
    sees_names: Annotated[bool, Form()] = False,
) -> Response:
    """Let a person sign in."""
    accounts.add_person(name, passcode, role, sees_names=sees_names)
    return back(request, caller, "/people", f"{name} may sign in as {role}")


@router.post("/people/{name}/change")
def change_person(
    request: Request,
    caller: Administrator,
    accounts: AdministratorAccounts,
    name: AccountName,
    role: Annotated[Role, Form()],
    sees_names: Annotated[bool, Form()] = False,
) -> Response:
    """Give a person other rights."""
    accounts.change_person(name, role, sees_names=sees_names)
    return back(request, caller, "/people", f"{name} is {role} from now on")


@router.post("/people/{name}/remove")
def remove_person(
    request: Request, caller: Administrator, accounts: AdministratorAccounts, name: AccountName
) -> Response:
    """Forget a person; their sessions end at once."""
    accounts.remove_person(name)
    return back(request, caller, "/people", f"{name} may not sign in any more")


@router.post("/tokens")
def add_token(
    request: Request,
    caller: Administrator,
    opened: OpenStore,
    accounts: AdministratorAccounts,
    name: NameField = "",
    role: Annotated[Role, Form()] = Role.VIEWER,
    sees_names: Annotated[bool, Form()] = False,
    days: Annotated[float, Form(ge=0, le=3650)] = 0,
) -> Response:
    """Make a token; this answer alone shows it."""
    token = accounts.add_token(name, role, sees_names=sees_names, days=days)
    return _shown(request, caller, opened, made=name, token=token)


@router.post("/tokens/{name}/revoke")
def revoke_token(
    request: Request, caller: Administrator, accounts: AdministratorAccounts, name: AccountName
) -> Response:
    """Forget a token."""
    accounts.revoke_token(name)
    return back(request, caller, "/people", f"token {name} is revoked")


def _shown(request: Request, caller: Caller, opened: Opened, *, made: str, token: str) -> Response:
    return page(
        request, "people.html", caller, people=WebPeople(opened.db).all(), tokens=WebTokens(opened.db).all(),
        made=made, token=token, roles=list(Role), shortest=SHORTEST_PASSCODE, now=opened.db.now(),
    )  # fmt: skip
