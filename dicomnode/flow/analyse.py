"""infer ▸ measure ▸ report as one function of values: files in, result objects out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydicom import Dataset

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import FeatureSet, Findings, Provenance, Segmentation, SourceSeries
from dicomnode.domain.uid import ResultUids
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.quality import gate
from dicomnode.infer.quality.plausible import plausible
from dicomnode.infer.read.volume import read_series
from dicomnode.infer.segment import segment
from dicomnode.measure import intensity, radiomics, size
from dicomnode.report import check, encode, features, measurements, segmentation

#: A report for destinations that refuse the SEG: it refers to nothing that they do not have.
_STAND_IN = "without-seg"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One result object, encoded."""

    role: str
    dataset: Dataset = field(repr=False)
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What came of one series: the findings, the objects that carry them, and how long each stage took."""

    findings: Findings
    outputs: tuple[Output, ...]
    seconds: dict[str, float]


@dataclass(slots=True)
class _Watch:
    """Measures stages by wall clock."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def analyse(
    paths: Sequence[Path],
    wanted: Sequence[str],
    provenance: Provenance,
    uids: ResultUids,
    sessions: Sessions,
    progress: Progress | None = None,
) -> Analysis:
    """Run a model on one series and encode what it finds.

    Parameters
    ----------
    paths
        The instances of one series, in any order.
    wanted
        Kinds of output (`seg`, `sr`, `radiomics`).
    progress
        Told the stage, steps done and steps in all.

    Raises
    ------
    Unsuitable
        If the series cannot feed the model, or its output is not believed.
    ModelError
        If the bundle or the runtime is at fault.
    EncodingError
        If a valid object cannot be built, or the SEG does not say what the mask says.
    """
    model = provenance.model
    watch = _Watch()

    def tell(stage: str) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, total: progress(stage, done, total)

    with watch.stage("read"):
        source = read_series(paths)
        warnings = (*source.warnings, *gate.check(source, model))
    with watch.stage("infer"):
        found = segment(source, model, sessions, progress=tell("infer"))
        warnings += plausible(found, model)
    with watch.stage("measure"):
        modality = str(source.datasets[0].get("Modality", "CT"))
        numbers = (*size.measure(source.volume, found), *intensity.measure(source.volume, found, modality))
        texture = _radiomics(source, found, "radiomics" in wanted)
    findings = Findings(
        source=source, segmentation=found, measurements=numbers, features=texture, warnings=tuple(warnings)
    )
    with watch.stage("report"):
        outputs = tuple(_encoded(findings, wanted, provenance, uids))
    return Analysis(findings=findings, outputs=outputs, seconds=watch.seconds)


def _radiomics(source: SourceSeries, found: Segmentation, asked: bool) -> tuple[FeatureSet, ...]:
    """Features where the bundle declares them, or of every segment where the rule asks."""
    numbers = [segment.number for segment in found.present() if asked or segment.radiomics]
    modality = str(source.datasets[0].get("Modality", "CT"))
    return radiomics.measure(source.volume, found, numbers, modality) if numbers else ()


def _encoded(findings: Findings, wanted: Sequence[str], provenance: Provenance, uids: ResultUids) -> Iterator[Output]:
    mask = segmentation.write(findings, provenance, uids) if "seg" in wanted else None
    if mask is not None:
        output = _output("seg", mask)
        check.verify(output.data, findings)
        yield output
    report = features.write(findings, provenance, uids, mask) if findings.features else None
    # Where there is nothing else to show, the report says so; a rule that matched never ends in silence.
    if "sr" in wanted or (mask is None and report is None):
        yield _output("sr", measurements.write(findings, provenance, uids, mask))
        if mask is not None:
            alone = measurements.write(findings, provenance, replace(uids, variant=_STAND_IN), None)
            yield _output(f"sr-{_STAND_IN}", alone)
    if report is not None:
        yield _output("radiomics", report)


def _output(role: str, dataset: Dataset) -> Output:
    try:
        return Output(role=role, dataset=dataset, data=encode.to_bytes(dataset))
    except (ValueError, TypeError, AttributeError) as error:
        raise EncodingError(f"{role}: the object cannot be written: {error}") from error
