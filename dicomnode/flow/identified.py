"""Headers of a job's inputs as the books name them, for when the files are gone or cannot be read."""

from __future__ import annotations

from pydicom import Dataset

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.header import Header, tag_of
from dicomnode.domain.work import Job
from dicomnode.report.boundary import encoding
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.studies import Studies

#: By what an archive files an object, and a reader knows whose it is.
_IDENTITY = (
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
    "StudyTime", "StudyID", "AccessionNumber",
)  # fmt: skip
_OBJECT = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality")


def identified(db: Database, files: Files, job: Job) -> list[Dataset]:
    """The identity and UIDs of a job's inputs, and nothing else of them.

    Raises
    ------
    EncodingError
        If the books know none of them, or an identity that makes no sense.
    """
    study = Studies(db, files).load(job.study_instance_uid, removed=True)
    wanted = {one.sop_instance_uid for one in job.inputs}
    instances = [one for series in study.series for one in series.instances] if study else []
    found = [_named(one.header) for one in instances if one.sop_instance_uid in wanted]
    if not found:
        raise EncodingError(f"job {job.job_id}: none of its {len(job.inputs)} inputs is in the books")
    return found


def identity_of(dataset: Dataset) -> Dataset:
    """The identity alone of a header."""
    kept = Dataset()
    for keyword in _IDENTITY:
        if keyword in dataset:
            kept[keyword] = dataset[keyword]
    return kept


def _named(header: Header) -> Dataset:
    elements = {tag_of(keyword): header.element(keyword) for keyword in (*_IDENTITY, *_OBJECT)}
    with encoding("books: identity of an input"):
        return Dataset.from_json({tag: dict(element) for tag, element in elements.items() if element.get("Value")})
