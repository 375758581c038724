"""Which earlier studies may be held against the present one, and what may be missing among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.prior import Prior
from dicomnode.flow.comparing.earlier import earlier
from dicomnode.flow.comparing.timepoint import Told
from dicomnode.flow.placed import placed
from dicomnode.infer.network.session import Sessions
from dicomnode.measure.change.circumstances import judge
from dicomnode.measure.change.track import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An earlier study that may be held against the present one."""

    seen: Seen
    remarks: tuple[str, ...]


def missing_before_of(priors: Sequence[Prior]) -> date | None:
    """The day before which a study is missing that a rule left out; None where it left out none."""
    newest = max((one.newest_left_out for one in priors if one.newest_left_out), default=None)
    return newest + timedelta(days=1) if newest else None


def hold(prior: Prior, now: Told, model: ModelSpec, sessions: Sessions) -> Held:
    """One prior, registered to the present study.

    Raises
    ------
    Unsuitable
        If nothing may be compared with it.
    """
    if prior.remark:
        raise Unsuitable(prior.remark)
    if prior.study_date > now.point.day:
        raise Unsuitable(f"it is later than the present one of {now.point.day:%Y-%m-%d}")
    before = earlier(prior, model, sessions)
    remarks: tuple[str, ...] = ()
    if before.circumstances and now.circumstances:
        verdict = judge(before.circumstances, now.circumstances)
        if verdict.forbids:
            raise Unsuitable("; ".join(verdict.forbids))
        remarks = verdict.limits
    else:
        remarks = ("how its images were made is not known, since only a report is at hand",)
    seen, said = placed(before, now)
    limits = (*remarks, *before.remarks, *said)
    return Held(
        seen=replace(seen, archived=before.archived),
        remarks=tuple(f"{prior.study_date:%Y-%m-%d}: {text}" for text in limits),
    )
