"""infer ▸ measure ▸ report as one function of values: files in, result objects out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.identity import Correction
from dicomnode.domain.prior import Prior
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.clinical import clinical
from dicomnode.flow.comparing.studies import compare
from dicomnode.flow.encode import Output, encoded
from dicomnode.flow.found import find
from dicomnode.flow.measured import described, limits, measured
from dicomnode.flow.signed import signed
from dicomnode.flow.sources import read, remarks, subject
from dicomnode.flow.takers import Taker
from dicomnode.flow.watch import Watch
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.quality import gate, plausible

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What came of a model's inputs: findings, objects that carry them, seconds of each stage, what was left out."""

    findings: Findings
    outputs: tuple[Output, ...]
    seconds: dict[str, float]
    left_out: tuple[str, ...] = ()


def analyse(
    inputs: Mapping[str, Sequence[Path]],
    wanted: Sequence[str],
    provenance: Provenance,
    uids: ResultUids,
    sessions: Sessions,
    progress: Progress | None = None,
    priors: Sequence[Prior] = (),
    takers: Sequence[Taker] = (),
    *,
    without_priors: str = "",
    unheard: Sequence[str] = (),
    corrections: Sequence[Correction] = (),
) -> Analysis:
    """Run a model on its inputs and encode what it finds.

    Parameters
    ----------
    inputs
        Name of every input of the model → the instances that feed it, in any order.
    wanted
        Kinds of output (`seg`, `sr`, `radiomics`).
    progress
        Told the stage, steps done and steps in all.
    priors, takers
        Earlier studies of the same patient to compare with; the destinations.
    corrections
        What archives say of whose the study is, in place of what the instances say.
    without_priors, unheard
        As `left_out` and `unheard` of `compare`.

    Raises
    ------
    Unsuitable
        If the series cannot feed the model, or its output is not believed; with the checks that were made.
    ModelError
        If the bundle or the runtime is at fault.
    EncodingError
        As `encoded`.
    """
    model = provenance.model
    watch = Watch()

    def tell(stage: str, done: int, total: int) -> None:
        if progress is not None:
            progress(stage, done, total)

    with watch.stage("read"):
        sources = read(inputs, model, partial(tell, "read"), corrections)
    with watch.stage("check"):
        checks = gate.check(sources, model)
        gate.require(checks, subject(sources))
    with watch.stage("infer"):
        features = clinical(model.features, sources)
        try:
            done = partial(tell, "infer")
            maps = "map" in wanted
            found = find(
                inputs, sources, model, sessions, progress=done, features=features, maps=maps, corrections=corrections
            )
        except Unsuitable as error:
            raise Unsuitable(str(error), checks=checks) from error
    with watch.stage("measure"):
        try:
            score = signed(found.segmentation, sources, model, sessions)
        except Unsuitable as error:
            raise Unsuitable(str(error), checks=checks) from error
        found = replace(found, measurements=(*found.measurements, *score.measurements))
    with watch.stage("check"):
        checks += plausible.check(
            found.segmentation, model, detections=found.detections, scores=found.measurements, source=sources[0]
        )
        doubts = gate.require(checks, subject(sources))
    tell("measure", 0, 1)
    with watch.stage("measure"):
        # What was unusual about a series stands among all warnings, by the name of its input, and need not stand twice.
        source, *companions = (replace(one, warnings=()) for one in sources)
        sizes = measured(sources[0], found.segmentation, model)
        workers = sessions.radiomics_processes
        sets = described(sources[0], found.segmentation, model, asked="radiomics" in wanted, workers=workers)
        history, uids = compare(
            sources[0], found, sizes.measurements, priors, model, sessions, uids, left_out=without_priors,
            unheard=unheard,
        )  # fmt: skip
        said = (*doubts, *found.warnings, *sizes.remarks, *limits(sets, found.segmentation))
        findings = Findings(
            source=source,
            companions=tuple(companions),
            segmentation=found.segmentation,
            maps=found.maps,
            measurements=(*sizes.measurements, *found.measurements),
            absent=sizes.absent,
            features=sets,
            comparison=history,
            contributions=score.contributions,
            statements=score.statements,
            detections=found.detections,
            classifications=found.classifications,
            checks=checks,
            warnings=tuple(dict.fromkeys((*remarks(sources, model), *said))),
            contours=found.contours,
        )
    tell("measure", 1, 1)
    tell("report", 0, 1)
    left_out: list[str] = []
    with watch.stage("report"):
        outputs = tuple(encoded(findings, wanted, provenance, uids, takers, left_out.append))
    tell("report", 1, 1)
    return Analysis(findings=findings, outputs=outputs, seconds=watch.seconds, left_out=tuple(left_out))
