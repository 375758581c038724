"""Makes what a job owes its reader and keeps it as files, which count once their rows are committed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from dicomnode.config import Settings
from dicomnode.domain.finding import Check
from dicomnode.domain.work import Job
from dicomnode.flow.corrected import Predecessors
from dicomnode.flow.identified import identified
from dicomnode.flow.keep import keep
from dicomnode.flow.output import Output
from dicomnode.flow.results import Computed, Results
from dicomnode.flow.takers import takers_of
from dicomnode.infer.network.session import Sessions
from dicomnode.store.acceptances import Acceptances
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Made
from dicomnode.store.prior_sources import unheard


class Maker:
    """Computes and keeps; what either raises is the verdict on the job."""

    def __init__(self, db: Database, files: Files, settings: Settings, sessions: Sessions) -> None:
        self._db = db
        self._files = files
        self._settings = settings
        self._results = Results(settings, sessions)
        self._acceptances = Acceptances(db)
        self._predecessors = Predecessors(db, files)

    def results(self, job: Job) -> tuple[list[Made], Computed]:
        """The results of a job."""
        job = replace(job, unheard=unheard(self._db, job.job_id))
        takers = takers_of(job, self._settings, self._acceptances)
        computed = self._results.of(job, self._db.clock(), self._predecessors.of(job), takers)
        return self._kept(job, computed.outputs), computed

    def renewed(self, job: Job, computed: Computed) -> tuple[list[Made], Computed]:
        """The same results as successors of what was sent since."""
        newer = self._predecessors.of(job)
        return self._kept(job, computed.again(newer)), replace(computed, predecessor=newer)

    def refusal(self, job: Job, reason: str, checks: Sequence[Check]) -> list[Made]:
        """What says why there are none."""
        predecessor = self._predecessors.of(job)
        return self._kept(job, self._results.refusal(job, reason, self._db.clock(), predecessor, checks))

    def bare_refusal(self, job: Job, reason: str, checks: Sequence[Check]) -> list[Made]:
        """The same from what the books know, for when the headers of the inputs are of no use."""
        predecessor, known = self._predecessors.of(job), identified(self._db, self._files, job)
        return self._kept(job, self._results.refusal(job, reason, self._db.clock(), predecessor, checks, known))

    def _kept(self, job: Job, outputs: Iterable[Output]) -> list[Made]:
        return [keep(self._files, job.study_instance_uid, output) for output in outputs]
