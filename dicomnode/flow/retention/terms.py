"""What the configuration says about keeping files: how long those of a study stay, and what still owes something."""

from __future__ import annotations

from datetime import datetime, timedelta

from dicomnode.config import Settings
from dicomnode.domain.prior import OWN_STORE
from dicomnode.domain.retention import KeepDays, Kept, Terms


def terms(settings: Settings, now: datetime) -> Terms:
    """What owes nothing any more at `now`."""
    table = settings.retention
    confirming = {peer.name for peer in settings.peers if peer.commitment or peer.verify}
    sources = {source for rule in settings.rules if rule.priors for source in (OWN_STORE, *rule.priors.peers)}
    waited_for = timedelta(days=table.unconfirmed_days)
    return Terms(
        failed_since=now - timedelta(days=table.failed_days),
        confirming=frozenset(confirming if table.after == "confirmed" else ()),
        requesting=frozenset(peer.name for peer in settings.peers if peer.committed_by),
        sources=frozenset(sources),
        inputs_confirmed=bool(table.inputs_confirmed_by),
        delivered_since=now - waited_for if table.unconfirmed_days else None,
    )


def keep_days(settings: Settings, rules: tuple[str, ...]) -> KeepDays:
    """The longest time of the rules that had a job on a study, the default where they say nothing; 0: no limit."""
    table = settings.retention
    said = {rule.name: rule.keep_days for rule in settings.rules}
    kept = [said.get(name, KeepDays()) for name in rules] or [KeepDays()]
    inputs = [table.inputs_days if one.inputs is None else one.inputs for one in kept]
    results = [table.results_days if one.results is None else one.results for one in kept]
    return KeepDays(inputs=_longest(inputs), results=_longest(results))


def shortest_days(settings: Settings) -> KeepDays:
    """The shortest times after which images or results of any study may go; None: never because of their age."""
    table = settings.retention
    said = [
        KeepDays(inputs=table.inputs_days, results=table.results_days),
        *(rule.keep_days for rule in settings.rules),
    ]
    return KeepDays(
        inputs=min((one.inputs for one in said if one.inputs), default=None),
        results=min((one.results for one in said if one.results), default=None),
    )


def outlived(kept: Kept, days: KeepDays, now: datetime) -> tuple[bool, bool]:
    """Whether the inputs, and whether the results of a study have been here for longer than they are kept."""

    def over(since: datetime | None, limit: float | None) -> bool:
        return since is not None and bool(limit) and now - since >= timedelta(days=limit or 0)

    return over(kept.inputs_since, days.inputs), over(kept.results_since, days.results)


def _longest(days: list[float]) -> float:
    return 0 if 0 in days else max(days)
