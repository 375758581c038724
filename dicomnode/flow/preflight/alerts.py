"""Tests whether those who are to be told can be told: the files that `[[notify]]` and `[heartbeat]` name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from dicomnode.config import Settings
from dicomnode.config.alerts import NotifyTable
from dicomnode.domain.errors import ConfigError
from dicomnode.flow.alerts.mail import context, secret
from dicomnode.flow.alerts.request import secret_header
from dicomnode.flow.verdict import Check, Verdict


def alerts(settings: Settings) -> Iterator[Check]:
    """Whether every receiver's secret and authority can be read; nobody is called."""
    for table in settings.notify:
        to = f"{table.host}:{table.port}" if table.host else table.url
        yield _tried(f"notify {table.name}", f"tells {to} of {', '.join(table.on)}", *_steps(table))
    if settings.heartbeat.url:
        yield _tried("heartbeat", f"goes to {settings.heartbeat.url}", partial(context, settings.heartbeat.ca))


def _steps(table: NotifyTable) -> Iterator[Callable[[], object]]:
    yield partial(context, table.ca)
    if table.user:
        yield partial(secret, table.password_file, f"notify {table.name}.password_file")
    if table.header_file:
        yield partial(secret_header, table)


def _tried(subject: str, found: str, *steps: Callable[[], object]) -> Check:
    try:
        for step in steps:
            step()
    except ConfigError as error:
        fault = error.faults[0]
        return Check(subject=subject, verdict=Verdict.FAIL, found=f"{fault.key} = {fault.value!r}", remedy=fault.remedy)
    except (OSError, ValueError) as error:
        remedy = "name files that this account can read"
        return Check(subject=subject, verdict=Verdict.FAIL, found=str(error), remedy=remedy)
    return Check(subject=subject, verdict=Verdict.OK, found=found)
