"""Tries the model on one case: the analysis as `process` does it, then every figure, or why there is none."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from dicomnode.domain.errors import DicomNodeError, Unsuitable
from dicomnode.domain.finding import Findings
from dicomnode.domain.model import ModelSpec
from dicomnode.flow.analyse import Progress
from dicomnode.flow.cohort.case import FAILED, OK
from dicomnode.flow.evaluate.cases import Trial
from dicomnode.flow.evaluate.figures import Row
from dicomnode.flow.evaluate.reference import Reference, read_reference
from dicomnode.flow.evaluate.rows import STRUCTURE, rows_of
from dicomnode.flow.evaluate.targets import Target
from dicomnode.flow.evaluate.wish import Wish
from dicomnode.flow.process import NotAnalysed, process
from dicomnode.flow.reason import in_words
from dicomnode.infer.network.session import Sessions


def tried(
    trial: Trial,
    spec: ModelSpec,
    targets: Sequence[Target],
    wish: Wish,
    pictures: Path,
    sessions: Sessions,
    progress: Progress,
) -> list[Row]:
    """The rows of one case; whatever is wrong with it is told in one row."""
    started = time.perf_counter()
    try:
        findings = _analysed(trial, spec, sessions, progress)
        seconds = time.perf_counter() - started
        reference = _reference(trial, findings, wish)
        return [
            {**_identity(trial, findings), "seconds": seconds, **row, **_added(trial, row)}
            for target in targets
            for row in rows_of(target, findings, reference, wish, pictures, trial.case.study_instance_uid)
        ]
    except (DicomNodeError, MemoryError) as error:
        return [failed(trial, in_words(error))]
    except OSError as error:
        # What the system says of a file names its path, which may name the patient.
        return [failed(trial, f"a file cannot be read or written: {error.strerror}")]


def _added(trial: Trial, row: Row) -> dict[str, str]:
    """What somebody says of the case counts more than what was found; a lung is a lung all the same."""
    return trial.strata if row["row"] == STRUCTURE else {}


def failed(trial: Trial, reason: str, structure: str = "") -> Row:
    """The row of what could not be evaluated."""
    return {**_identity(trial), "row": STRUCTURE, "structure": structure, "status": FAILED, "reason": reason}


def _analysed(trial: Trial, spec: ModelSpec, sessions: Sessions, progress: Progress) -> Findings:
    with TemporaryDirectory(prefix="dicomnode-evaluate-") as folder:
        done = process(trial.images, spec, ("sr",), Path(folder), sessions, progress)
    if isinstance(done, NotAnalysed):
        raise Unsuitable(f"not analysed: {done.reason}")
    return done.analysis.findings


def _reference(trial: Trial, findings: Findings, wish: Wish) -> Reference:
    if not trial.references and wish.negatives:
        return Reference(layers=(), shape=findings.source.volume.array.shape)
    return read_reference(trial.references, findings.source)


def _identity(trial: Trial, findings: Findings | None = None) -> Row:
    row: Row = {
        "patient": trial.case.patient,
        "study_instance_uid": trial.case.study_instance_uid,
        "status": OK,
        "reason": "",
        **trial.strata,
    }
    if findings is not None:
        header = findings.source.datasets[0]
        slices, rows, columns = (float(length) for length in findings.source.volume.spacing)
        row |= {
            "series_instance_uid": str(header.get("SeriesInstanceUID", "")),
            "manufacturer": str(header.get("Manufacturer") or ""),
            "slice_spacing_mm": slices,
            "row_spacing_mm": rows,
            "column_spacing_mm": columns,
        }
    return row
