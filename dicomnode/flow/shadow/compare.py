"""Runs a model and its candidate on the same inputs, in a process of its own that may die of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Thread

from dicomnode import __version__
from dicomnode.domain.errors import DicomNodeError, Unsuitable
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.identity import Correction
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.analyse import analyse
from dicomnode.flow.reason import in_words
from dicomnode.flow.shadow.difference import differences
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions
from dicomnode.store.shadow import Difference

#: Below everything else on the machine (nice(2)).
_NICE = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be compared.

    Attributes
    ----------
    inputs
        Name of an input of the model → its files.
    models
        Folder of the bundles.
    """

    models: Path
    model: str
    candidate: str
    inputs: Mapping[str, Sequence[Path]] = field(repr=False)
    corrections: Sequence[Correction] = field(default=(), repr=False)
    threads: int = 0
    device: str = "cpu"
    scratch: Path
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of it; `failed` says why nothing did."""

    version: str = ""
    model_seconds: float = 0.0
    candidate_seconds: float = 0.0
    differences: tuple[Difference, ...] = ()
    failed: str = ""


def answer(task: Task, line: Connection) -> None:
    """Compare and say what came of it, at the lowest priority."""
    os.nice(_NICE)
    Thread(target=_end_with_parent, daemon=True, name="lifeline").start()
    try:
        said = compared(task)
    except (DicomNodeError, MemoryError) as error:
        said = Answer(failed=in_words(error))
    line.send(said)
    line.close()


def _end_with_parent() -> None:
    """A worker that is killed must not leave behind what keeps the machine busy."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def compared(task: Task) -> Answer:
    """The figures.

    Raises
    ------
    DicomNodeError
        One of the two cannot be run on these inputs, or what they say cannot be compared.
    """
    model, candidate = (load_bundle(task.models / name) for name in (task.model, task.candidate))
    theirs = _inputs(task, model, candidate)
    sessions = Sessions(task.threads, task.device, scratch=task.scratch)
    first, model_seconds = _analysed(task, model, task.inputs, sessions)
    second, candidate_seconds = _analysed(task, candidate, theirs, sessions)
    return Answer(
        version=candidate.version, model_seconds=model_seconds, candidate_seconds=candidate_seconds,
        differences=tuple(differences(first, second)),
    )  # fmt: skip


def _inputs(task: Task, model: ModelSpec, candidate: ModelSpec) -> Mapping[str, Sequence[Path]]:
    """The same files by the names under which the candidate knows them."""
    given, wanted = list(task.inputs), [one.name for one in candidate.inputs]
    if set(given) == set(wanted):
        return task.inputs
    if len(given) == len(wanted) == 1:
        return {wanted[0]: task.inputs[given[0]]}
    told = f"{model.name} is fed {', '.join(given)}, and {candidate.name} needs {', '.join(wanted)}"
    raise Unsuitable(f"cannot be compared: {told}; name the inputs alike")


def _analysed(
    task: Task, spec: ModelSpec, inputs: Mapping[str, Sequence[Path]], sessions: Sessions
) -> tuple[Findings, float]:
    provenance = Provenance(
        node_version=__version__, station="SHADOW", rule="shadow", model=spec, revision=1, run=1,
        started_at=task.started_at,
    )  # fmt: skip
    uids = ResultUids(
        study_instance_uid="2.25.0", rule="shadow", input_digest="", recipe_digest=spec.recipe, run=1
    )  # fmt: skip
    try:
        done = analyse(inputs, (), provenance, uids, sessions, corrections=task.corrections)
    except Unsuitable as error:
        raise Unsuitable(f"{spec.name}: {error}") from error
    return done.findings, sum(seconds for stage, seconds in done.seconds.items() if stage != "report")
