"""People and tokens, for administrators; and sessions of people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from dicomnode.domain.role import Account, Role
from dicomnode.flow.asked.allowed import NAME, SHORTEST_PASSCODE
from dicomnode.store.web_people import WebPeople
from dicomnode.store.web_tokens import WebTokens
from dicomnode.web.access import Administrator, Viewer
from dicomnode.web.acting import AdministratorAccounts
from dicomnode.web.api.forms import AccountName, Done
from dicomnode.web.desk import OpenStore
from dicomnode.web.passcode import change_passcode
from dicomnode.web.problem import unknown
from dicomnode.web.sessions import sign_in, sign_out

router = APIRouter(tags=["people and tokens"])

Name = Annotated[str, Field(pattern=f"^{NAME}$", description="Letters, digits and . _ @ -")]
Passcode = Annotated[str, Field(min_length=1, max_length=256, json_schema_extra={"format": "password"})]


class SignIn(BaseModel):
    """Who wants to begin a session."""

    name: str = Field(min_length=1, max_length=64)
    passcode: Passcode


class Session(BaseModel):
    """A session has begun; its cookie goes with this answer."""

    name: str
    role: Role
    sees_names: bool
    csrf_token: str = Field(description="To be sent back as `X-CSRF-Token` with everything that is not a GET.")


class NewPerson(BaseModel):
    """A person who shall be able to sign in."""

    name: Name
    passcode: str = Field(
        min_length=SHORTEST_PASSCODE, max_length=256, json_schema_extra={"format": "password"},
        description="Only its hash is kept.",
    )  # fmt: skip
    role: Role = Role.VIEWER
    sees_names: bool = Field(default=False, description="Whether they may see who the patients are.")


class Rights(BaseModel):
    """What a person may do from now on."""

    role: Role
    sees_names: bool = Field(description="Whether they may see who the patients are.")


class NewPasscode(BaseModel):
    """Another passcode for whoever is signed in."""

    old: Passcode
    new: str = Field(
        min_length=SHORTEST_PASSCODE, max_length=256, json_schema_extra={"format": "password"},
        description="Only its hash is kept.",
    )  # fmt: skip


class NewToken(BaseModel):
    """A program that shall be able to use this interface."""

    name: Name
    role: Role = Role.VIEWER
    sees_names: bool = Field(default=False, description="Whether it may see who the patients are.")
    days: float = Field(default=0, ge=0, le=3650, description="How long it is valid; 0: until it is revoked.")


class Made(BaseModel):
    """A token, which is shown this once."""

    name: str
    token: str = Field(description="Send it as `Authorization: Bearer TOKEN`; only its digest is kept.")


class Accounts(BaseModel):
    """People or tokens, by name."""

    accounts: list[Account]


@router.post("/session", operation_id="begin_session", summary="Sign in")
def begin_session(request: Request, response: Response, opened: OpenStore, who: SignIn) -> Session:
    """For people; programs send a token instead."""
    caller = sign_in(request, response, opened, who.name, who.passcode)
    return Session(name=caller.name, role=caller.role, sees_names=caller.sees_names, csrf_token=caller.csrf)


@router.delete("/session", operation_id="end_session", summary="Sign out")
def end_session(request: Request, response: Response, opened: OpenStore, caller: Viewer) -> Done:
    """The session ends at once."""
    sign_out(request, response, opened, caller)
    return Done(done=f"{caller.name} is signed out")


@router.get("/people", operation_id="list_people", summary="People")
def list_people(caller: Administrator, opened: OpenStore) -> Accounts:
    """Who may sign in."""
    return Accounts(accounts=WebPeople(opened.db).all())


@router.post("/people", operation_id="add_person", summary="Let a person sign in", status_code=201)
def add_person(person: NewPerson, accounts: AdministratorAccounts) -> Done:
    """A name that a person or a token has is refused."""
    accounts.add_person(person.name, person.passcode, person.role, sees_names=person.sees_names)
    return Done(done=f"{person.name} may sign in as {person.role}")


@router.put("/people/{name}", operation_id="change_person", summary="Change what a person may do")
def change_person(name: AccountName, rights: Rights, accounts: AdministratorAccounts, opened: OpenStore) -> Done:
    """From their next request on; their passcode and sessions stay."""
    if all(one.name != name for one in WebPeople(opened.db).all()):
        raise unknown(f"person {name}")
    accounts.change_person(name, rights.role, sees_names=rights.sees_names)
    return Done(done=f"{name} is {rights.role} from now on")


@router.put("/passcode", operation_id="change_passcode", summary="Change my passcode")
def change_my_passcode(request: Request, caller: Viewer, opened: OpenStore, passcode: NewPasscode) -> Done:
    """For people who are signed in; their other sessions end."""
    return Done(done=change_passcode(request, opened, caller, passcode.old, passcode.new))


@router.delete("/people/{name}", operation_id="remove_person", summary="Remove a person")
def remove_person(name: AccountName, accounts: AdministratorAccounts, opened: OpenStore) -> Done:
    """Their sessions end at once."""
    if all(one.name != name for one in WebPeople(opened.db).all()):
        raise unknown(f"person {name}")
    accounts.remove_person(name)
    return Done(done=f"{name} may not sign in any more")


@router.get("/tokens", operation_id="list_tokens", summary="Tokens")
def list_tokens(caller: Administrator, opened: OpenStore) -> Accounts:
    """Also those that have expired; what they are is not known here."""
    return Accounts(accounts=WebTokens(opened.db).all())


@router.post("/tokens", operation_id="add_token", summary="Make a token", status_code=201)
def add_token(token: NewToken, accounts: AdministratorAccounts) -> Made:
    """256 random bits, shown this once."""
    made = accounts.add_token(token.name, token.role, sees_names=token.sees_names, days=token.days)
    return Made(name=token.name, token=made)


@router.delete("/tokens/{name}", operation_id="revoke_token", summary="Revoke a token")
def revoke_token(name: AccountName, accounts: AdministratorAccounts, opened: OpenStore) -> Done:
    """Nobody gets in with it any more."""
    if all(one.name != name for one in WebTokens(opened.db).all()):
        raise unknown(f"token {name}")
    accounts.revoke_token(name)
    return Done(done=f"token {name} is revoked")
