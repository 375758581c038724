"""What a job has to show: the objects of its analysis, or the one report that says why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import structlog
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from dicomnode import __version__
from dicomnode.config import Settings
from dicomnode.domain.errors import EncodingError, ModelError, Outdated, Unsuitable
from dicomnode.domain.finding import Check, PriorReport, Provenance
from dicomnode.domain.model import ModelSpec, unavailable
from dicomnode.domain.uid import ResultUids
from dicomnode.domain.work import Job
from dicomnode.flow.analyse import analyse
from dicomnode.flow.encode import Output, refused
from dicomnode.flow.recipe import recipe_digest
from dicomnode.infer.bundle.load import find_bundles
from dicomnode.infer.network.session import Sessions

_log = structlog.get_logger(__name__)

#: A job that is outdated is made anew this often before its reader is told instead.
_MOST_RUNS = 5


class Results:
    """Computes results from a job's frozen inputs; knows no database, so that it can be repeated at will."""

    def __init__(self, settings: Settings, sessions: Sessions) -> None:
        self._settings = settings
        self._sessions = sessions

    def of(self, job: Job, started_at: datetime, predecessor: PriorReport | None) -> tuple[Sequence[Output], str]:
        """The result objects of a job, and in words how long each stage took.

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
        rule = next((rule for rule in self._settings.rules if rule.name == job.rule), None)
        if rule is None or recipe_digest(rule, spec) != job.recipe_digest:
            changed = f"rule {job.rule} or model {job.model} was changed since this job was made"
            if job.run > _MOST_RUNS:
                # Listener and worker do not mean the same, as when only one was restarted after an edit or upgrade.
                raise Unsuitable(f"{changed}, again and again; restart the node and `dicomnode rerun` the study")
            raise Outdated(changed)
        provenance = self._provenance(job, spec, started_at, predecessor)
        analysis = analyse(_paths(job), self._wanted(job), provenance, result_uids(job), self._sessions)
        words = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in analysis.seconds.items())
        return analysis.outputs, words

    def refusal(
        self,
        job: Job,
        reason: str,
        started_at: datetime,
        predecessor: PriorReport | None,
        checks: Sequence[Check] = (),
    ) -> Sequence[Output]:
        """What says "not analysed: reason" to the reader, with what the quality gate looked at.

        Raises
        ------
        EncodingError
            If none of the inputs can be read, so that not even the patient is known.
        """
        bundles, _broken = find_bundles(self._settings.models.folder)
        spec = bundles.get(job.model) or unavailable(job.model)
        provenance = self._provenance(job, spec, started_at, predecessor)
        return tuple(refused(self._headers(job), reason, job.outputs, provenance, result_uids(job), checks))

    def _wanted(self, job: Job) -> tuple[str, ...]:
        """What the rule asks for; a destination that lists the label map gets the SEG as one."""
        peers = [self._settings.peer(name) for name in job.destinations]
        listed = any(peer is not None and "labelmap" in peer.outputs for peer in peers)
        return (*job.outputs, "labelmap") if listed and "seg" in job.outputs else job.outputs

    def _bundle(self, name: str) -> ModelSpec:
        bundles, broken = find_bundles(self._settings.models.folder)
        if name not in bundles:
            raise ModelError(f"model {name}: {broken.get(name, 'no such bundle')}")
        return bundles[name]

    def _headers(self, job: Job) -> list[Dataset]:
        datasets: list[Dataset] = []
        for one in job.inputs:
            try:
                datasets.append(dcmread(one.path, stop_before_pixels=True))
            except (InvalidDicomError, OSError, EOFError, ValueError) as error:
                _log.warning("input cannot be read", sop_instance_uid=one.sop_instance_uid, reason=type(error).__name__)
        if not datasets:
            raise EncodingError(f"job {job.job_id}: none of its {len(job.inputs)} inputs can be read")
        return datasets

    def _provenance(
        self, job: Job, spec: ModelSpec, started_at: datetime, predecessor: PriorReport | None
    ) -> Provenance:
        return Provenance(
            node_version=__version__,
            station=self._settings.node.aet,
            rule=job.rule,
            model=spec,
            revision=job.revision,
            run=job.run,
            started_at=started_at,
            predecessor=predecessor,
        )


def _paths(job: Job) -> dict[str, list[Path]]:
    paths: dict[str, list[Path]] = {}
    for one in job.inputs:
        paths.setdefault(one.input, []).append(one.path)
    return paths


def result_uids(job: Job) -> ResultUids:
    """The UIDs of everything this job writes."""
    return ResultUids(
        study_instance_uid=job.study_instance_uid,
        rule=job.rule,
        input_digest=job.input_digest,
        recipe_digest=job.recipe_digest,
        run=job.run,
    )
