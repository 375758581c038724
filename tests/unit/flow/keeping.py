"""A node whose studies are done and sent, as tests of retention use it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from dicomnode.config import Settings
from dicomnode.config.tables import RetentionTable
from dicomnode.domain.work import Job
from dicomnode.flow.choice import Choice
from dicomnode.flow.retention.disk import Disk
from dicomnode.flow.retention.room import MakeRoom
from dicomnode.flow.retention.terms import terms
from dicomnode.store.jobs import Made
from dicomnode.store.retention import Retention
from tests.conftest import Hands
from tests.unit.flow.estate import Estate

DAY_SECONDS = 86_400.0


class Keeping:
    """An estate with a disk of 1000 bytes of which a test says how many are used besides the files of the store."""

    def __init__(self, estate: Estate, **retention: Any) -> None:
        self.estate, self.db, self.files = estate, estate.db, estate.files
        self.others_bytes = 0
        self.files_count = True
        self.configure(**retention)

    def configure(self, peer: dict[str, Any] | None = None, keep_days: Any = None, **retention: Any) -> None:
        """Settings with this table, and the time of the sweep anew."""
        changed = RetentionTable(**{"least_hours": 0, **retention})
        peers = tuple(type(one)(**{**_fields(one), **(peer or {})}) for one in self.estate.settings.peers)
        rules = self.estate.settings.rules
        if keep_days is not None:
            rules = tuple(type(one)(**{**_fields(one), "keep_days": keep_days}) for one in rules)
        update = {"retention": changed, "peers": peers, "rules": rules}
        self.settings: Settings = self.estate.settings.model_copy(update=update)
        self.room = MakeRoom(self.db, self.files, self.settings, self.disk)

    def disk(self, _folder: Path) -> Disk:
        used = self.others_bytes
        if self.files_count:
            used += sum(path.stat().st_size for path in self.lying())
        return Disk(used_bytes=used, free_bytes=1000 - used)

    def lying(self) -> list[Path]:
        """Every file of studies and results."""
        found = [path for kind in ("studies", "results") for path in (self.files.folder / kind).rglob("*")]
        return sorted(path for path in found if path.is_file())

    def of(self, study: str) -> int:
        """How many files of a study are here."""
        return sum(path.parent.name == study for path in self.lying())

    def done(self, study: str, *, result_bytes: int = 100, answer: str = "done", day: str = "20261120") -> Job:
        """A study of two objects that was analysed, and whose one result was answered so."""
        job = self.estate.settled(study, day)
        jobs = self.estate.jobs
        with self.db.transaction():
            claimed = jobs.claim("w", timedelta(seconds=60))
            assert claimed is not None and claimed.job_id == job.job_id
            path, digest = self.files.keep_result(study, f"{study}.99", b"x" * result_bytes)
            made = Made(
                role="sr", kind="sr", sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34", sop_instance_uid=f"{study}.99",
                series_instance_uid=f"{study}.98", transfer_syntax_uid="1.2.840.10008.1.2.1", digest=digest,
                size_bytes=result_bytes, path=path,
            )  # fmt: skip
            jobs.finish(claimed, [made], "")
            Choice(self.db, self.files).owe(job.job_id, "PACS", self.settings.peer("PACS"))
            for state in {"waiting": (), "done": ("running", "done"), "failed": ("running", "failed")}[answer]:
                self.db.execute("UPDATE delivery SET state = ?, changed_at = ? WHERE job_id = ?",
                                state, self.db.now(), job.job_id)  # fmt: skip
            self.db.execute("UPDATE prior_search SET state = 'cancelled' WHERE state = 'waiting'")
        return job

    def send_again(self, study: str, *numbers: int, **attributes: Any) -> None:
        """Objects of a study come (again)."""
        for arrival in self.estate.images(study, "20261120", **attributes):
            if not numbers or int(arrival.sop_instance_uid.rsplit(".", 1)[1]) in numbers:
                self.estate.intake.accept(arrival)

    def later(self, days: float) -> None:
        clock = self.estate.clock
        assert isinstance(clock, Hands)
        clock.forward(days * DAY_SECONDS)

    def sound(self) -> bool:
        """Whether exactly those files are here that rows say are here."""
        rows = self.db.rows(
            "SELECT path FROM instance WHERE purged_at = '' UNION SELECT path FROM result WHERE purged_at = ''"
        )
        return {row["path"] for row in rows} == {str(path.relative_to(self.files.folder)) for path in self.lying()}

    def events(self, study: str) -> list[tuple[str, str]]:
        rows = self.db.rows("SELECT arrow, detail FROM event WHERE study_instance_uid = ? ORDER BY event_id", study)
        return [tuple(row) for row in rows]

    def owes(self, study: str) -> tuple[str, ...]:
        return Retention(self.db).owes(study, terms(self.settings, self.db.clock()))


def _fields(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}
