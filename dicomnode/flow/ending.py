"""What goes into the books with the end of a job: what is owed to whom, and what it came to in figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dicomnode.config import Settings
from dicomnode.domain.finding import Check, Findings
from dicomnode.domain.model import ModelSpec, Severity
from dicomnode.domain.outcome import Ending, Figures
from dicomnode.domain.work import Job
from dicomnode.flow.choice import Choice
from dicomnode.flow.notices import spec_of
from dicomnode.measure import codes
from dicomnode.store.database import Database
from dicomnode.store.deadlines import Deadlines
from dicomnode.store.files import Files
from dicomnode.store.outcomes import Outcomes


class Endings:
    """Writes what follows from the end of a job: `done` and `refused` in the transaction in which it ends."""

    def __init__(self, db: Database, files: Files, settings: Settings) -> None:
        self._settings = settings
        self._deadlines = Deadlines(db)
        self._choice = Choice(db, files)
        self._outcomes = Outcomes(db)

    def done(self, job: Job, figures: Figures) -> None:
        """It has results."""
        self._outcomes.record(job, Ending.DONE, figures)
        self._owe(job)

    def version(self, job: Job) -> str:
        """The version of a job's model, or "" where its bundle cannot be read."""
        spec = spec_of(self._settings, job)
        return spec.version if spec.recipe else ""

    def refused(self, job: Job, checks: Sequence[Check], version: str, *, unsuitable: bool) -> None:
        """It has none; `unsuitable` where the series is the reason, `checks` what the quality gate looked at."""
        blocked_by = [one.rule for one in checks if not one.passed and one.severity is Severity.BLOCK]
        ending = Ending.BLOCKED if blocked_by else Ending.UNSUITABLE if unsuitable else Ending.FAILED
        self._outcomes.record(job, ending, Figures(version=version), blocked_by)
        self._owe(job)

    def _owe(self, job: Job) -> None:
        self._deadlines.overtake(job.job_id)
        for destination in job.destinations:
            self._choice.owe(job.job_id, destination, self._settings.peer(destination))


def figures_of(findings: Findings, spec: ModelSpec) -> Figures:
    """What an analysis found, in numbers.

    A region counts once it has a voxel, a box as it is; the volume is that of the mask (118565006, SCT) by the sum of
    its voxels, in ml.
    """
    volumes = [
        one.value for one in findings.measurements
        if one.segment_number and one.name == codes.VOLUME and one.method == codes.SUM_OF_VOXELS
    ]  # fmt: skip
    sought = bool(spec.segments or spec.contours)
    measured = sought and bool(findings.segmentation.segments)
    return Figures(
        version=spec.version,
        findings=len(volumes) + len(findings.detections) if sought else None,
        volume_ml=sum(volumes) if measured else None,
        urgent=tuple(dict.fromkeys(_urgent(findings, spec))),
    )


def _urgent(findings: Findings, spec: ModelSpec) -> Iterator[str]:
    """Labels of what was found and the bundle marks urgent."""
    present = {one.segment_number for one in findings.measurements}
    for layer in findings.segmentation.layers:
        yield from (one.label for one in layer.segments if one.urgent and one.number in present)
    yield from (one.segment.label for one in findings.detections if one.segment.urgent)
    answers = [one.answer for one in findings.classifications]
    yield from (one.label for one in spec.classes if one.urgent and one.code in answers)
    for score in spec.scores:
        if score.urgent_at_least is not None:
            limit = score.urgent_at_least
            values = [one.value for one in findings.measurements if not one.segment_number and one.name == score.name]
            yield from (f"{score.name.meaning} of at least {limit:g}" for value in values if value >= limit)
