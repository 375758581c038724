"""Analyses files without a node: chooses what feeds the model, runs it, and writes what it finds to a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from dicomnode import __version__
from dicomnode.domain.clock import utc_now
from dicomnode.domain.errors import DicomNodeError, EncodingError, Unsuitable
from dicomnode.domain.finding import Check, Provenance
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Series, Study
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.analyse import Analysis, Progress, analyse
from dicomnode.flow.encode import refused
from dicomnode.flow.folder import STATION, earlier_results, keep_results
from dicomnode.flow.offline import studies_in
from dicomnode.flow.reason import in_words
from dicomnode.flow.recipe import input_digest
from dicomnode.flow.stacks import in_stacks
from dicomnode.infer.network.session import Sessions
from dicomnode.route.contours import holds_contours, no_contours
from dicomnode.route.feed import Feed
from dicomnode.route.inputs import feeds
from dicomnode.route.select import preference


@dataclass(frozen=True, slots=True, kw_only=True)
class Processed:
    """What came of the files.

    Attributes
    ----------
    remarks
        In words which series were chosen, and which files were left out.
    written
        The result objects.
    """

    analysis: Analysis
    written: tuple[Path, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAnalysed:
    """Why nothing came of the files.

    Attributes
    ----------
    checks
        What the quality gate looked at before it refused.
    remarks
        In words which series were chosen, and which files were left out.
    written
        The report that says so to a reader.
    """

    reason: str
    checks: tuple[Check, ...]
    written: tuple[Path, ...]
    remarks: tuple[str, ...]


def process(
    paths: Sequence[Path],
    spec: ModelSpec,
    wanted: Sequence[str],
    folder: Path,
    sessions: Sessions,
    progress: Progress | None = None,
) -> Processed | NotAnalysed:
    """Analyse the series among these files that suit the model, chosen as the node would choose them.

    Whatever comes of a study takes the place of what an earlier run has left in `folder`.

    Raises
    ------
    DicomNodeError
        If the files are not those of one study, the folder cannot be written to, or it holds files of another origin
        under the names of results.
    """
    earlier = earlier_results(folder)
    studies, left_out = studies_in(paths)
    if len(studies) != 1:
        raise DicomNodeError("; ".join((f"{len(studies)} studies in these files, needed those of one", *left_out)))
    study = in_stacks(studies[0])
    feed, others = _chosen(study, spec)
    inputs = {name: series.instances for name, series in feed.series.items()}
    files = {name: [one.path for one in instances] for name, instances in inputs.items()}
    provenance = Provenance(
        node_version=__version__, station=STATION, rule="process", model=spec, revision=1, run=1, started_at=utc_now()
    )
    uids = ResultUids(
        study_instance_uid=study.study_instance_uid,
        rule=f"process {provenance.started_at.isoformat()}",
        input_digest=input_digest(inputs),
        recipe_digest=spec.recipe,
        run=1,
    )
    remarks = (*left_out, *_choice(feed, others))
    try:
        if feed.lacking:
            raise Unsuitable(f"{len(study.series)} series in these files: {feed.lacking}")
        analysis = analyse(files, wanted, provenance, uids, sessions, progress)
    except (DicomNodeError, MemoryError) as error:
        reason, checks = in_words(error), error.checks if isinstance(error, Unsuitable) else ()
    else:
        written = keep_results(folder, analysis.outputs, earlier)
        return Processed(analysis=analysis, written=written, remarks=remarks)
    told = files or {spec.input.name: [one.path for one in feed.nearest.instances]}
    try:
        headers = [dcmread(path, stop_before_pixels=True) for paths in told.values() for path in paths]
        outputs = tuple(refused(headers, reason, wanted, provenance, uids, checks))
    except EncodingError as error:
        outputs, remarks = (), (*remarks, f"no report that says so could be written: {error}")
    written = keep_results(folder, outputs, earlier)
    return NotAnalysed(reason=reason, checks=checks, written=written, remarks=remarks)


def _chosen(study: Study, spec: ModelSpec) -> tuple[Feed, list[Feed]]:
    """What feeds the model, and further frames of reference that could."""
    everything = Rule(name="process", model=spec.name, outputs=(), destinations=())
    found = feeds(everything, study, spec)
    if not found:
        nearest = min(study.series, key=preference)
        lacking = no_contours(everything, spec)
        return Feed(frame="", series={}, why={}, lacking=lacking, nearest=nearest), []
    first, *others = found
    return first, [other for other in others if not other.lacking]


def _choice(feed: Feed, others: Sequence[Feed]) -> Iterator[str]:
    for name, series in feed.series.items():
        yield f"{series.title} feeds {name}: {feed.why[name]}"
    for other in others:
        yield f"{other.nearest.title}: not analysed, {_place(other.nearest)}"


def _place(series: Series) -> str:
    if holds_contours(series):
        return "contours are measured one object at a time"
    stated = series.header.first("FrameOfReferenceUID")
    return "in another frame of reference" if stated else "without a frame of reference"
