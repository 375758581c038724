"""Keeps an encoded result as a file of the store."""

from __future__ import annotations

from dicomnode.flow.encode import Output
from dicomnode.store.files import Files
from dicomnode.store.jobs import Made


def keep(files: Files, study_instance_uid: str, output: Output) -> Made:
    """Write the bytes, once and for all; the row that makes them count is still to be committed."""
    dataset = output.dataset
    uid = str(dataset.SOPInstanceUID)
    path, digest = files.keep_result(study_instance_uid, uid, output.data)
    return Made(
        role=output.role,
        kind=output.kind,
        refers_to=output.refers_to,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=uid,
        series_instance_uid=str(dataset.SeriesInstanceUID),
        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
        digest=digest,
        size_bytes=len(output.data),
        path=path,
    )
