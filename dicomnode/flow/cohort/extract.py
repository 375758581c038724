"""Extracts the features of a cohort: finds its cases, measures those that are new, and writes one table of all."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from dicomnode.domain.measuring import RadiomicsSpec
from dicomnode.domain.study import Study
from dicomnode.flow.cohort import settings as cohort_settings
from dicomnode.flow.cohort.case import Row, failed, measured_case
from dicomnode.flow.cohort.cases import Case, Naming, cases_of
from dicomnode.flow.cohort.describe import described
from dicomnode.flow.cohort.journal import Journal, pseudonym_key
from dicomnode.flow.cohort.output import require_format, write_csv, write_settings, write_table

Progress = Callable[[str, int, int], None]

_KILLED = "its process was killed, which happens where memory does not suffice; try fewer --jobs, or coarser voxels"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """What was found before anything is computed.

    Attributes
    ----------
    description
        A row for every series of images.
    """

    cases: tuple[Case, ...]
    description: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """What a table holds now.

    Attributes
    ----------
    rows
        How many, by status.
    skipped
        Cases that were measured by an earlier run.
    """

    rows: dict[str, int]
    measured: int
    skipped: int
    written: tuple[Path, ...]


def find(studies: Iterable[Study], out: Path, *, identified: bool) -> Cohort:
    """The cases of studies in the order of the table, and what their images are.

    Raises
    ------
    ConfigError
        If the table cannot be written.
    """
    require_format(out)
    naming = Naming(key=None if identified else pseudonym_key(out))
    cases: list[Case] = []
    rows: list[Row] = []
    for study in studies:
        own = list(cases_of(study, naming))
        cases += own
        rows += described(study, naming, {case.series_instance_uid for case in own})
    unique = {case.key: case for case in cases}
    rows.sort(
        key=lambda row: tuple(str(row[name]) for name in ("patient", "study_instance_uid", "series_instance_uid"))
    )
    return Cohort(cases=tuple(sorted(unique.values(), key=lambda case: case.order)), description=tuple(rows))


def extract(
    cohort: Cohort, spec: RadiomicsSpec, out: Path, *, identified: bool, jobs: int, progress: Progress
) -> Extracted:
    """Measure the cases that the table does not hold yet, and write it with what goes beside it.

    Interrupted at any time it continues where it was; cases of earlier runs stay in the table.

    Raises
    ------
    ConfigError
        If the table cannot be written, or holds cases with other settings.
    """
    journal = Journal(out, cohort_settings.digest(spec, identified=identified))
    try:
        wanted = [case for case in cohort.cases if not journal.holds(case)]
        skipped = len(cohort.cases) - len(wanted)
        progress("extract", skipped, len(cohort.cases))
        for done, (case, rows) in enumerate(answers(wanted, cohort_settings.plain(spec), jobs), start=1):
            journal.add(case, rows)
            progress("extract", skipped + done, len(cohort.cases))
    finally:
        journal.close()
        write_table(journal.rows, out)
    dataset = out.with_name(f"{out.stem}.dataset.csv")
    write_csv(cohort.description, dataset)
    packages = {name: version(name) for name in ("pyradiomics", "SimpleITK", "PyWavelets", "numpy", "pydicom")}
    beside = write_settings({"settings": cohort_settings.described(spec), "software": packages}, out)
    return Extracted(
        rows=dict(Counter(str(row["status"]) for row in journal.rows())),
        measured=len(wanted),
        skipped=skipped,
        written=(out, dataset, beside),
    )


def answers(cases: Sequence[Case], spec: RadiomicsSpec, jobs: int) -> Iterator[tuple[Case, list[Row]]]:
    """Every case with its rows, in order; one that kills its process is told so.

    Parameters
    ----------
    jobs
        Processes; one computes here.
    """
    if jobs < 2:
        for case in cases:
            yield case, measured_case(case, spec)
        return
    rest, workers = list(cases), jobs
    while rest:
        pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
        try:
            waiting = [pool.submit(measured_case, case, spec) for case in rest]
            for answer in waiting:
                yield rest[0], answer.result()
                rest.pop(0)
        except BrokenProcessPool:
            # Of several processes nobody knows which case killed one; alone the next one to do so is known.
            if workers == 1:
                yield rest[0], [failed(rest.pop(0), _KILLED)]
            workers = 1 if workers > 1 else jobs
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
