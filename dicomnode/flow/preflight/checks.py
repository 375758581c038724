"""Tests everything that a call to support would ask for, and says what to do about what fails."""

from __future__ import annotations

from collections.abc import Iterator

from dicomnode.config import Settings
from dicomnode.flow.preflight.alerts import alerts
from dicomnode.flow.preflight.audit import audit_trail
from dicomnode.flow.preflight.deident import pseudonyms
from dicomnode.flow.preflight.machine import machine
from dicomnode.flow.preflight.models import models
from dicomnode.flow.preflight.peers import peers
from dicomnode.flow.preflight.ports import ports
from dicomnode.flow.preflight.priors import comparing_rules
from dicomnode.flow.preflight.software import software
from dicomnode.flow.preflight.storage import database, store_folder
from dicomnode.flow.preflight.stow import tokens, web_services
from dicomnode.flow.preflight.tls import secure_transport
from dicomnode.flow.verdict import Check, Verdict


def check(settings: Settings, *, quick: bool = False) -> Iterator[Check]:
    """All checks, in the order in which to mend them.

    Parameters
    ----------
    quick
        Whether nobody is called, no model is run, and the database is not read as a whole.
    """
    yield Check(
        subject="configuration",
        verdict=Verdict.OK if settings.rules else Verdict.WARN,
        found=f"{_count(len(settings.peers), 'peer')}, {_count(len(settings.rules), 'rule')}",
        remedy="" if settings.rules else "without a [[rule]] nothing is analysed",
    )
    yield from software()
    yield from machine()
    yield from store_folder(settings)
    inspected, told = database(settings, quick=quick)
    yield from told
    # Opening a database of another schema would change it, perhaps under a node that runs.
    remember = inspected is not None and inspected.usable and not inspected.faults
    yield from audit_trail(settings, quick=quick)
    yield from models(settings, quick=quick, remember=remember)
    yield from comparing_rules(settings)
    yield from ports(settings)
    yield from tokens(settings) if remember else ()
    yield from secure_transport(settings)
    yield from web_services(settings)
    yield from pseudonyms(settings)
    yield from alerts(settings)
    if not quick:
        yield from peers(settings, remember=remember)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
