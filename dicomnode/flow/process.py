"""Analyses files without a node: chooses what feeds the model, runs it, and writes what it finds to a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dicomnode import __version__
from dicomnode.domain.clock import utc_now
from dicomnode.domain.errors import DicomNodeError, Unsuitable
from dicomnode.domain.finding import Provenance
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Study
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.analyse import Analysis, Progress, analyse
from dicomnode.flow.offline import studies_in
from dicomnode.flow.recipe import input_digest
from dicomnode.flow.stacks import in_stacks
from dicomnode.infer.network.session import Sessions
from dicomnode.route.inputs import Feed, feeds


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


def process(
    paths: Sequence[Path],
    spec: ModelSpec,
    wanted: Sequence[str],
    folder: Path,
    sessions: Sessions,
    progress: Progress | None = None,
) -> Processed:
    """Analyse the series among these files that suit the model, chosen as the node would choose them.

    Raises
    ------
    DicomNodeError
        If the files are not those of one study, or the folder cannot be written to.
    Unsuitable
        If an input of the model finds no series, or what it finds cannot be analysed.
    """
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    studies, remarks = studies_in(paths)
    if len(studies) != 1:
        left_out = f"; {len(remarks)} files were left out, such as {remarks[0]}" if remarks else ""
        raise DicomNodeError(f"{len(studies)} studies in these files, needed those of one{left_out}")
    feed, others = _chosen(in_stacks(studies[0]), spec)
    inputs = {name: series.instances for name, series in feed.series.items()}
    for name, series in feed.series.items():
        remarks.append(f"{series.title} feeds {name}: {feed.why[name]}")
    remarks += [f"{other.nearest.title} is left: it lies in another frame of reference" for other in others]
    provenance = Provenance(
        node_version=__version__, station="OFFLINE", rule="process", model=spec, revision=1, run=1, started_at=utc_now()
    )
    uids = ResultUids(
        study_instance_uid=studies[0].study_instance_uid,
        rule=f"process {provenance.started_at.isoformat()}",
        input_digest=input_digest(inputs),
        recipe_digest=spec.recipe,
        run=1,
    )
    files = {name: [one.path for one in instances] for name, instances in inputs.items()}
    analysis = analyse(files, wanted, provenance, uids, sessions, progress)
    return Processed(analysis=analysis, written=_write(analysis, folder), remarks=tuple(remarks))


def _chosen(study: Study, spec: ModelSpec) -> tuple[Feed, list[Feed]]:
    """What feeds the model, and further frames of reference that could."""
    everything = Rule(name="process", model=spec.name, outputs=(), destinations=())
    first, *others = feeds(everything, study, spec)
    if first.lacking:
        raise Unsuitable(f"{len(study.series)} series in these files: {first.lacking}")
    return first, [other for other in others if not other.lacking]


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DicomNodeError(f"{folder}: {error.strerror}, needed a folder to write the results to") from error


def _write(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    written = []
    for output in analysis.outputs:
        if output.stands_in:
            continue  # for destinations that refuse another; a folder takes everything
        path = folder / f"{output.role}.dcm"
        with _writing(folder):
            path.write_bytes(output.data)
        written.append(path)
    return tuple(written)
