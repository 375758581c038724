"""What a job has to show: the objects of its analysis, or the one report that says why there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from pydicom import Dataset

from dicomnode.config import Settings
from dicomnode.domain.errors import ModelError, Outdated, Unsuitable
from dicomnode.domain.finding import Check, PriorReport
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.outcome import Figures
from dicomnode.domain.work import Job
from dicomnode.flow.analyse import analyse
from dicomnode.flow.comparing.postponed import left_out, postponed
from dicomnode.flow.encode import Output, encoded, refused
from dicomnode.flow.ending import figures_of
from dicomnode.flow.notices import headers_of, provenance_of, result_uids, spec_of
from dicomnode.flow.recipe import recipe_digest
from dicomnode.flow.suited import special_masks
from dicomnode.flow.takers import Taker
from dicomnode.infer.bundle.load import find_bundles
from dicomnode.infer.network.session import Sessions

#: A job that is outdated is made anew this often before its reader is told instead.
_MOST_RUNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """What came of a job.

    Attributes
    ----------
    words
        How long each stage took, and what was left out; `figures` say what was found.
    predecessor
        The report that the outputs name as the one before.
    again
        The same outputs with another predecessor, for a reader who was told meanwhile that a deadline was missed.
    compare_later, wait_seconds
        Whether the comparison with earlier studies was left to the next run, and how long that waits for peers.
    """

    outputs: Sequence[Output] = field(repr=False)
    words: str
    predecessor: PriorReport | None
    again: Callable[[PriorReport | None], Sequence[Output]] = field(repr=False)
    compare_later: bool = False
    wait_seconds: float = 0.0
    figures: Figures


class Results:
    """Computes results from a job's frozen inputs; knows no database, so that it can be repeated at will."""

    def __init__(self, settings: Settings, sessions: Sessions) -> None:
        self._settings = settings
        self._sessions = sessions

    def of(self, job: Job, started_at: datetime, predecessor: PriorReport | None, takers: Sequence[Taker]) -> Computed:
        """The result objects of a job, in the forms that its destinations need.

        Raises
        ------
        Unsuitable
            If the job was made only to be refused, or settling anew does not bring it up to date.
        Outdated
            If rule or model changed since the job was made.
        ModelError
            If the bundle cannot be used; further errors as `analyse`.
        """
        if job.refusal:
            raise Unsuitable(job.refusal)
        spec = self._bundle(job.model)
        rule = next((one for one in self._settings.rules if one.name == job.rule), None)
        if rule is None or recipe_digest(rule, spec) != job.recipe_digest:
            changed = f"rule {job.rule} or model {job.model} was changed since this job was made"
            if job.run > _MOST_RUNS:
                # Listener and worker do not mean the same, as when only one was restarted after an edit or upgrade.
                raise Unsuitable(f"{changed}, again and again; restart the node and `dicomnode rerun` the study")
            raise Outdated(changed)
        provenance = provenance_of(self._settings, job, spec, started_at, predecessor)
        wanted, uids = self._wanted(job), replace(result_uids(job), lasting=lasting(job.series_instance_uid, spec))
        most = self._settings.work.max_attempts
        analysis = analyse(
            _paths(job), wanted, provenance, uids, self._sessions, takers=takers, corrections=job.corrections,
            priors=() if (without := left_out(job, most)) else job.priors, without_priors=without, unheard=job.unheard,
        )  # fmt: skip

        def again(newer: PriorReport | None) -> Sequence[Output]:
            return tuple(encoded(analysis.findings, wanted, replace(provenance, predecessor=newer), uids, takers))

        words = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in analysis.seconds.items())
        return Computed(
            outputs=analysis.outputs, words="; ".join((words, *analysis.left_out)), predecessor=predecessor,
            again=again, compare_later=postponed(analysis.findings), figures=figures_of(analysis.findings, spec),
            wait_seconds=rule.priors.wait_seconds if rule.priors else 0.0,
        )  # fmt: skip

    def refusal(
        self, job: Job, reason: str, started_at: datetime, predecessor: PriorReport | None,
        checks: Sequence[Check] = (), headers: Sequence[Dataset] = (),
    ) -> Sequence[Output]:  # fmt: skip
        """What says "not analysed: reason" to the reader, with what the quality gate looked at.

        Parameters
        ----------
        headers
            Of the inputs; none: those of their files.

        Raises
        ------
        EncodingError
            If none of the inputs can be read, so that not even the patient is known.
        """
        provenance = provenance_of(self._settings, job, spec_of(self._settings, job), started_at, predecessor)
        return tuple(refused(headers or headers_of(job), reason, job.outputs, provenance, result_uids(job), checks))

    def _wanted(self, job: Job) -> tuple[str, ...]:
        """What the rule asks for, and the other forms of its mask that the entry of some destination asks for."""
        peers = [peer for name in job.destinations if (peer := self._settings.peer(name)) is not None]
        listed = any("labelmap" in peer.outputs for peer in peers)
        wanted = (*job.outputs, "labelmap") if listed and "seg" in job.outputs else job.outputs
        special = {role for peer in peers for role in special_masks(peer) if role.split("-")[0] in wanted}
        return (*wanted, *sorted(special))

    def _bundle(self, name: str) -> ModelSpec:
        bundles, broken = find_bundles(self._settings.models.folder)
        if name not in bundles:
            raise ModelError(f"model {name}: {broken.get(name, 'no such bundle')}")
        return bundles[name]


def lasting(series_instance_uid: str, spec: ModelSpec) -> dict[int, str]:
    """What the segments of a model are, for tracking UIDs that outlast a run (`ResultUids.lasting`)."""
    return {
        one.number: f"{series_instance_uid} {spec.name} {one.type.scheme} {one.type.value} {one.label}"
        for one in spec.segments
    }


def _paths(job: Job) -> dict[str, list[Path]]:
    names = dict.fromkeys(one.input for one in job.inputs)
    return {name: [one.path for one in job.inputs if one.input == name] for name in names}
