"""Tests whether those who are to be told can be told: the files that `[[notify]]` and `[heartbeat]` name."""

from __future__ import annotations

from collections.abc import Iterator

from dicomnode.config import Settings
from dicomnode.flow.preflight.named import failed, faults
from dicomnode.flow.verdict import Check, Verdict


def alerts(settings: Settings) -> Iterator[Check]:
    """Whether every receiver's secret and authority can be read; nobody is called."""
    for table in settings.notify:
        to = f"{table.host}:{table.port}" if table.host else table.url
        yield from _tried(settings, f"notify {table.name}", f"tells {to} of {', '.join(table.on)}")
    if settings.heartbeat.url:
        yield from _tried(settings, "heartbeat", f"goes to {settings.heartbeat.url}")


def _tried(settings: Settings, subject: str, found: str) -> Iterator[Check]:
    wrong = faults(settings, subject)
    if wrong:
        yield from (failed(subject, fault) for fault in wrong)
    else:
        yield Check(subject=subject, verdict=Verdict.OK, found=found)
