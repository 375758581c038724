"""Analyses files without a node: what `process` and `route` do with a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from dicomnode import __version__
from dicomnode.config import Settings
from dicomnode.deliver import dimse
from dicomnode.domain.clock import utc_now
from dicomnode.domain.errors import DicomNodeError, Refused, Unsuitable
from dicomnode.domain.finding import Provenance
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.network import Association
from dicomnode.domain.rule import Match
from dicomnode.domain.study import Instance, Series, Study
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.analyse import Analysis, Progress, analyse
from dicomnode.flow.recipe import input_digest
from dicomnode.infer.network.session import Sessions
from dicomnode.receive.header import read_arrival
from dicomnode.route.match import match
from dicomnode.route.select import choose, preference, technical_faults

_OFFLINE = Association(association_id="offline", calling_aet="OFFLINE", called_aet="OFFLINE", address="127.0.0.1")


def files_below(paths: Iterable[Path]) -> Iterator[Path]:
    """The files named, and all files below the folders named."""
    for path in paths:
        if path.is_dir():
            yield from sorted(child for child in path.rglob("*") if child.is_file())
        else:
            yield path


def outgoing(path: Path) -> dimse.Outgoing | None:
    """A file as something to send, or None if it is not a DICOM file."""
    try:
        ds = dcmread(path, specific_tags=["SOPClassUID", "SOPInstanceUID"], stop_before_pixels=True)
        return dimse.Outgoing(
            sop_class_uid=str(ds.SOPClassUID),
            sop_instance_uid=str(ds.SOPInstanceUID),
            transfer_syntax_uid=str(ds.file_meta.TransferSyntaxUID),
            path=path,
        )
    except (InvalidDicomError, AttributeError, OSError, ValueError):
        return None


def studies_in(paths: Iterable[Path]) -> tuple[list[Study], list[str]]:
    """The studies that these files belong to, and why files were left out."""
    found: dict[str, dict[str, list[Instance]]] = {}
    left_out = []
    for path in files_below(paths):
        try:
            meta = dcmread(path, specific_tags=["SOPClassUID", "SOPInstanceUID"], stop_before_pixels=True)
            arrival = read_arrival(
                path,
                _OFFLINE,
                sop_class_uid=str(meta.get("SOPClassUID", "")),
                sop_instance_uid=str(meta.get("SOPInstanceUID", "")),
                transfer_syntax_uid=str(meta.file_meta.get("TransferSyntaxUID", "")),
                on_demand=False,
            )
        except (Refused, InvalidDicomError, OSError, ValueError, AttributeError) as error:
            left_out.append(f"{path.name}: {error}")
            continue
        series = found.setdefault(arrival.study_instance_uid, {}).setdefault(arrival.series_instance_uid, [])
        series.append(
            Instance(
                sop_instance_uid=arrival.sop_instance_uid,
                sop_class_uid=arrival.sop_class_uid,
                transfer_syntax_uid=arrival.transfer_syntax_uid,
                digest=arrival.digest,
                path=path,
                header=arrival.header,
            )
        )
    studies = [
        Study(
            study_instance_uid=uid,
            revision=1,
            calling_aet=_OFFLINE.calling_aet,
            called_aet=_OFFLINE.called_aet,
            address=_OFFLINE.address,
            peer="",
            series=tuple(Series(series_instance_uid=one, instances=tuple(of)) for one, of in series.items()),
        )
        for uid, series in found.items()
    ]
    return studies, left_out


def matches(settings: Settings, study: Study) -> Iterator[tuple[Series, Match]]:
    """Every enabled rule held against every series of a study."""
    for rule in settings.rules:
        for series in study.series if rule.enabled else ():
            yield series, match(rule, study, series)


def process(
    paths: Sequence[Path],
    spec: ModelSpec,
    wanted: Sequence[str],
    folder: Path,
    progress: Progress | None = None,
) -> tuple[Analysis, list[Path], list[str]]:
    """Analyse the one series among these files that suits the model; the files written, and remarks.

    Raises
    ------
    DicomNodeError
        If no series suits, or several studies are mixed.
    """
    studies, remarks = studies_in(paths)
    if len(studies) != 1:
        raise DicomNodeError(f"{len(studies)} studies in these files; name the files of one")
    fitting = [series for series in studies[0].series if not technical_faults(series, spec)]
    if not fitting:
        nearest = min(studies[0].series, key=preference)
        reasons = "; ".join(reason.text for reason in technical_faults(nearest, spec))
        raise Unsuitable(f"none of the {len(studies[0].series)} series fits the input of {spec.name}: {reasons}")
    series, why = choose(fitting)
    remarks.append(f"series {series.series_instance_uid}: {why}")
    provenance = Provenance(
        node_version=__version__, station="OFFLINE", rule="process", model=spec, revision=1, run=1, started_at=utc_now()
    )
    uids = ResultUids(
        study_instance_uid=studies[0].study_instance_uid,
        rule=f"process {provenance.started_at.isoformat()}",
        input_digest=input_digest(series),
        recipe_digest=spec.recipe,
        run=1,
    )
    analysis = analyse([one.path for one in series.instances], wanted, provenance, uids, Sessions(), progress)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for output in analysis.outputs:
        if "-without-" in output.role:
            continue  # for destinations that refuse the SEG; a folder takes everything
        path = folder / f"{output.role}.dcm"
        path.write_bytes(output.data)
        written.append(path)
    return analysis, written, remarks
