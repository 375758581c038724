"""The messages of PS3.15 A.5.3 about people and programs that are known to this node by name."""

from __future__ import annotations

from dicomnode.audit.event import Action, Coded, Event, Outcome, Participant, Subject
from dicomnode.audit.message import REPORT, SOFTWARE_CONFIGURATION, SYSTEM, URI, alert

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


def searched(who: Participant, process: Participant, path: str, words: str) -> Event:
    """Query: somebody asks over the network for a list with patients, whoever is on it (PS3.15 A.5.3.10).

    Parameters
    ----------
    path, words
        Where it was asked, and what was searched for, as it was sent: what was asked is no data set here.
    """
    asked = Subject(id=path, id_type=URI, kind=SYSTEM, role=REPORT, query=words.encode())
    return Event(
        id=Coded(code="110112", meaning="Query"), action=Action.EXECUTE, participants=(who, process), subjects=(asked,)
    )


def configuration_changed(who: Participant, what: str) -> Event:
    """Security Alert: what this node does with studies was changed (PS3.15 A.5.3.11)."""
    return alert(SOFTWARE_CONFIGURATION, who, None, what, Outcome.SUCCESS)


def attributes_changed(who: Participant, what: str) -> Event:
    """Security Alert: who may use this node, or what they may do, was changed (PS3.15 A.5.3.11)."""
    return alert(_ATTRIBUTES, who, None, what, Outcome.SUCCESS)
