"""Files and folders as studies, for the commands that work without a node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset, read_preamble

from dicomnode.config import Settings
from dicomnode.deliver import dimse
from dicomnode.domain.errors import Refused
from dicomnode.domain.network import Association
from dicomnode.domain.rule import Match
from dicomnode.domain.study import Arrival, Instance, Series, Study
from dicomnode.flow.hold import hold
from dicomnode.flow.stacks import in_stacks
from dicomnode.infer.read.faults import READ_FAULTS
from dicomnode.receive.header import read_arrival

_OFFLINE = Association(association_id="offline", calling_aet="OFFLINE", called_aet="OFFLINE", address="127.0.0.1")
_FILE_META_GROUP = 0x0002


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
    except READ_FAULTS:
        return None


def studies_in(paths: Iterable[Path]) -> tuple[list[Study], list[str]]:
    """The studies that these files belong to, and in words how many files were left out, reason by reason."""
    found: dict[str, dict[str, list[Instance]]] = {}
    left_out: dict[str, list[str]] = {}
    for path in files_below(paths):
        try:
            arrival = _arrival(path)
        except (Refused, *READ_FAULTS) as error:
            left_out.setdefault(_reason(error), []).append(path.name)
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
    return studies, [_counted(names, reason) for reason, names in left_out.items()]


def matches(settings: Settings, study: Study) -> Iterator[tuple[Series, Match]]:
    """Every enabled rule held against every stack of a study."""
    stacks = in_stacks(study)
    for rule in settings.rules:
        yield from hold(rule, stacks) if rule.enabled else ()


def _arrival(path: Path) -> Arrival:
    """As if the file had been sent; like other tools this does without the group length of PS3.10 7.1."""
    with path.open("rb") as file:
        meta = dcmread(file, specific_tags=["SOPClassUID", "SOPInstanceUID"], stop_before_pixels=True)
        file.seek(0)
        read_preamble(file, force=False)
        read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag.group != _FILE_META_GROUP)
        data_set_start = file.tell()
    return read_arrival(
        path,
        _OFFLINE,
        sop_class_uid=str(meta.get("SOPClassUID", "")),
        sop_instance_uid=str(meta.get("SOPInstanceUID", "")),
        transfer_syntax_uid=str(meta.file_meta.get("TransferSyntaxUID", "")),
        on_demand=False,
        data_set_start=data_set_start,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "no DICOM file" if isinstance(error, InvalidDicomError | EOFError) else "cannot be read as DICOM"


def _counted(names: Sequence[str], reason: str) -> str:
    if len(names) == 1:
        return f"1 file was left out, {names[0]}: {reason}"
    return f"{len(names)} files were left out, such as {names[0]}: {reason}"
