"""Lets one made study into a running node: who sends it, by which rule it goes and who gets its results."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from fcntl import LOCK_EX, LOCK_NB, flock
from ipaddress import ip_address
from pathlib import Path

from dicomnode.config import Settings
from dicomnode.domain.clock import from_text, to_text, utc_now
from dicomnode.domain.errors import DicomNodeError, NotAuthorised
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Arrival
from dicomnode.domain.uid import check_study_uid, is_check

#: In the folder of the store, which belongs to the node's account alone: whoever writes there may do all else, too.
_FILE, _LOCK = "round-trip.json", "round-trip.lock"

#: How the calling AE title begins; what follows is chosen anew each time, and known to who can read the ticket.
_CALLING = "CHECK-"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TITLE_LENGTH = 16  # PS3.5 6.2, AE

#: A ticket that was left behind by a process that was killed lets nobody in for longer.
_VALID = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One round trip: `peer` names who counts as sender, so that results for the sender go there."""

    calling_aet: str
    study_instance_uid: str
    rule: str
    peer: str
    issued_at: datetime


def new_ticket(rule: str, peer: str) -> Ticket:
    """A ticket under a title and a UID that nobody has used."""
    title = _CALLING + "".join(secrets.choice(_LETTERS) for _ in range(_TITLE_LENGTH - len(_CALLING)))
    return Ticket(
        calling_aet=title, study_instance_uid=check_study_uid(), rule=rule, peer=peer, issued_at=utc_now()
    )  # fmt: skip


@contextmanager
def alone(store: Path) -> Iterator[None]:
    """Hold the right to issue tickets on this store.

    Raises
    ------
    DicomNodeError
        Somebody else has it.
    """
    with (store / _LOCK).open("a") as lock:
        _given_to_owner(store, lock.fileno())
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError as error:
            raise DicomNodeError(f"store {store}: another round trip is under way; wait until it has ended") from error
        yield


def issue(store: Path, ticket: Ticket) -> None:
    """Make a ticket valid; the listener looks for it with the next association that calls by such a title."""
    part = store / f"{_FILE}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        _given_to_owner(store, descriptor)
        json.dump({**asdict(ticket), "issued_at": to_text(ticket.issued_at)}, file)
    part.replace(store / _FILE)


def withdraw(store: Path) -> None:
    """End the validity of whatever ticket there is."""
    (store / _FILE).unlink(missing_ok=True)


def valid(store: Path) -> Ticket | None:
    """The ticket that is valid now."""
    try:
        written = json.loads((store / _FILE).read_text(encoding="utf-8"))
        ticket = Ticket(**{**written, "issued_at": from_text(written["issued_at"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return ticket if abs(utc_now() - ticket.issued_at) < _VALID else None


def guest(settings: Settings, calling_aet: str, address: str) -> str:
    """The peer in whose place this caller is let in: it has the ticket, and calls from this machine; "" otherwise."""
    ticket = valid(settings.store.folder) if calling_aet.startswith(_CALLING) else None
    if ticket is None or not secrets.compare_digest(ticket.calling_aet.encode(), calling_aet.encode()):
        return ""
    local = ip_address(address.split("%")[0].removeprefix("::ffff:")).is_loopback or address == settings.node.host
    return ticket.peer if local else ""


def rules_for(settings: Settings, study_instance_uid: str) -> tuple[Rule, ...]:
    """The rules that a study meets: a made one the rule of its ticket, which waits for no earlier studies."""
    if not is_check(study_instance_uid):
        return settings.rules
    ticket = valid(settings.store.folder)
    if ticket is None or ticket.study_instance_uid != study_instance_uid:
        return ()
    return tuple(replace(rule, priors=None) for rule in settings.rules if rule.name == ticket.rule)


def stray(store: Path, arrival: Arrival) -> bool:
    """Whether an object of a made study comes from elsewhere: an archive that forwards everything has it still.

    Raises
    ------
    NotAuthorised
        A guest sends what is not of the study of its ticket: it was let in for that alone.
    """
    guest = arrival.association.guest
    if not (guest or is_check(arrival.study_instance_uid)):
        return False
    ticket = valid(store)
    if guest and (ticket is None or ticket.study_instance_uid != arrival.study_instance_uid):
        raise NotAuthorised(f"study {arrival.study_instance_uid}: not the one that this caller was let in for")
    return ticket is None or ticket.calling_aet != arrival.association.calling_aet


def _given_to_owner(store: Path, descriptor: int) -> None:
    """Let the node's account read what root writes there."""
    owner = store.stat()
    if os.geteuid() == 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
