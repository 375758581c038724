"""Evaluates a model on cases with a reference: tries every case, keeps each as it is done, and writes the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.study import Study
from dicomnode.flow.analyse import Progress
from dicomnode.flow.cohort.case import FAILED, OK
from dicomnode.flow.cohort.cases import Naming
from dicomnode.flow.cohort.journal import Journal, pseudonym_key
from dicomnode.flow.evaluate.case import tried
from dicomnode.flow.evaluate.cases import Trial, trials
from dicomnode.flow.evaluate.figures import Row
from dicomnode.flow.evaluate.rows import STRUCTURE
from dicomnode.flow.evaluate.summary import Summary, summary
from dicomnode.flow.evaluate.targets import targets_of
from dicomnode.flow.evaluate.wish import Wish
from dicomnode.flow.evaluate.written import PICTURES, TABLE, write
from dicomnode.infer.network.session import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What an evaluation says.

    Attributes
    ----------
    done, skipped, cases
        Cases tried now, those that an earlier run had tried, and all that there are.
    evaluated, failed
        Cases with figures of one structure or more, and cases that lack those of one structure or more.
    figures
        By structure, as summary.json has them.
    """

    done: int
    skipped: int
    cases: int
    evaluated: int
    failed: int
    figures: list[Summary] = field(repr=False)
    written: tuple[Path, ...] = ()

    @property
    def interrupted(self) -> bool:
        """Whether cases are left to be tried."""
        return self.done + self.skipped < self.cases


def evaluate(
    studies: Iterable[Study],
    spec: ModelSpec,
    wish: Wish,
    out: Path,
    sessions: Sessions,
    progress: Progress,
) -> Evaluation:
    """Try a model on every study; interrupted at any time, what is done is written, and the next run goes on there.

    Raises
    ------
    ConfigError
        If there is no case, the wish does not fit the model, or `out` cannot be written or holds another evaluation.
    """
    targets = targets_of(spec, wish)
    pictures = _folder(out)
    found = list(trials(studies, spec, Naming(key=pseudonym_key(out / TABLE)), wish))
    if not found:
        raise ConfigError([Fault(key="--cases", value="", remedy="no study with images below it")])
    journal = Journal(out / TABLE, wish.digest(spec))
    wanted = [trial for trial in found if not journal.holds(trial.case)]
    skipped, done = len(found) - len(wanted), 0
    try:
        progress("cases", skipped, len(found))
        for trial in wanted:
            journal.add(trial.case, tried(trial, spec, targets, wish, pictures, sessions, _within(progress)))
            done += 1
            progress("cases", skipped + done, len(found))
    except KeyboardInterrupt:
        # What is done stays, and is told below; whoever called sees that it is not all.
        pass
    finally:
        journal.close()
    rows = _current(journal, found)
    figures = summary(rows, wish.columns, wish.seed)
    return Evaluation(
        done=done,
        skipped=skipped,
        cases=len(found),
        evaluated=_studies(rows, OK),
        failed=_studies(rows, FAILED),
        figures=figures,
        written=write(rows, figures, spec, wish, out, len(found)),
    )


def _current(journal: Journal, found: Sequence[Trial]) -> list[Row]:
    """The rows of these cases; those of cases that are gone, or of their earlier files, are left out.

    By study, since pseudonyms differ from folder to folder and draws of a bootstrap depend on the order.
    """
    cases = sorted((trial.case for trial in found), key=lambda case: case.study_instance_uid)
    return [row for case in cases for row in journal.of(case)]


def _studies(rows: Sequence[Row], status: str) -> int:
    """How many cases have a structure of that status."""
    return len({row["study_instance_uid"] for row in rows if row["row"] == STRUCTURE and row["status"] == status})


def _folder(out: Path) -> Path:
    try:
        (out / PICTURES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError([Fault(key="--out", value=str(out), remedy=f"cannot be made: {error.strerror}")]) from error
    return out / PICTURES


def _within(progress: Progress) -> Progress:
    """The stages of one case beside the bar of all cases."""
    return lambda stage, done, total: progress(f"  {stage}", done, total)
