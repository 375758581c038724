"""The messages of PS3.15 A.5.3 about people and programs that are known to this node by name."""

from __future__ import annotations

from dicomnode.audit.event import Action, Coded, Event, Outcome, Participant
from dicomnode.audit.message import alert

_LOGIN = Coded(code="110122", meaning="Login")
_LOGOUT = Coded(code="110123", meaning="Logout")
_ATTRIBUTES = Coded(code="110137", meaning="User security Attributes Changed")


def somebody(name: str, address: str = "") -> Participant:
    """A person, or a program with a token, that has asked for something over the network."""
    return Participant(user_id=name, requestor=True, address=address)


def authenticated(who: Participant, process: Participant, *, known: bool) -> Event:
    """User Authentication: somebody signs in, or was not let in (PS3.15 A.5.3.12)."""
    return Event(
        id=Coded(code="110114", meaning="User Authentication"),
        action=Action.EXECUTE,
        types=(_LOGIN,),
        outcome=Outcome.SUCCESS if known else Outcome.MINOR,
        participants=(who, process),
    )


def left(who: Participant, process: Participant) -> Event:
    """User Authentication: somebody signs out (PS3.15 A.5.3.12)."""
    return Event(
        id=Coded(code="110114", meaning="User Authentication"),
        action=Action.EXECUTE,
        types=(_LOGOUT,),
        participants=(who, process),
    )


def attributes_changed(who: Participant, what: str) -> Event:
    """Security Alert: who may use this node, or what they may do, was changed (PS3.15 A.5.3.11)."""
    return alert(_ATTRIBUTES, who, None, what, Outcome.SUCCESS)
