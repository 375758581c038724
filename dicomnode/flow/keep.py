"""Keeps an encoded result as a file of the store."""

from __future__ import annotations

from dataclasses import replace

from dicomnode.domain.work import Occasion
from dicomnode.flow.output import Output
from dicomnode.store.files import Files
from dicomnode.store.jobs import Made


def keep(files: Files, study_instance_uid: str, output: Output) -> Made:
    """Write the bytes, once and for all; the row that makes them count is still to be committed."""
    path, digest = files.keep_result(study_instance_uid, str(output.dataset.SOPInstanceUID), output.data)
    return _made(output, path, digest)


def keep_notice(files: Files, study_instance_uid: str, output: Output, occasion: Occasion, only_for: str = "") -> Made:
    """As `keep`, for what is told beside the results of a job, in whichever process."""
    path, digest = files.keep_notice(study_instance_uid, str(output.dataset.SOPInstanceUID), output.data)
    return replace(_made(output, path, digest), occasion=occasion, only_for=only_for)


def _made(output: Output, path: str, digest: str) -> Made:
    dataset = output.dataset
    return Made(
        role=output.role,
        kind=output.kind,
        refers_to=output.refers_to,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
        digest=digest,
        size_bytes=len(output.data),
        path=path,
    )
