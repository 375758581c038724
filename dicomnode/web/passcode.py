"""People change their passcode, so that whoever let them in does not know it any more."""

from __future__ import annotations

from fastapi import Request

from dicomnode.flow.asked.accounts import Accounts
from dicomnode.web.access import Caller, cookie_of, hold_back
from dicomnode.web.acting import participant
from dicomnode.web.desk import Opened, desk_of
from dicomnode.web.problem import declined
from dicomnode.web.rates import Rate


def change_passcode(request: Request, opened: Opened, caller: Caller, old: str, new: str) -> str:
    """Give the caller another passcode; one sentence on what was done.

    Raises
    ------
    Declined
        The caller is a program, the old passcode is wrong, or was too often (429).
    DicomNodeError
        The new one is too short.
    OutOfResources
        It cannot be recorded and has to be.
    """
    if not caller.person:
        raise declined(403, "the caller", "a program, which has a token", "a person who is signed in")
    # Who has taken over a session may guess no faster than at the sign-in; a space stands in no name.
    guessed: Rate = request.app.state.guessed
    key = f"{caller.name} within a session"
    hold_back(guessed.take(key))
    accounts = Accounts(opened.db, desk_of(request).settings, participant(request, caller.name))
    if not accounts.change_passcode(caller.name, old, new, session=request.cookies.get(cookie_of(request), "")):
        raise declined(403, "the old passcode", "it is not this", "the one that was last signed in with")
    guessed.forgive(key)
    return "the passcode is changed; other sessions of yours have ended"
