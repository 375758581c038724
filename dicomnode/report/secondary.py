"""Pictures as Secondary Capture images, which every viewer shows."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from dicomnode.domain.finding import Check, Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report.bodypart import tell_body_part
from dicomnode.report.boundary import encoding
from dicomnode.report.heading import NOT_ANALYSED, WITHDRAWN, Heading
from dicomnode.report.identity import fit, guard_study
from dicomnode.report.notice import notice
from dicomnode.report.page import pictures_of
from dicomnode.report.picture import Picture
from dicomnode.report.provenance import disclaimer
from dicomnode.report.references import refer_to_source
from dicomnode.report.result import ResultObject
from dicomnode.report.shown import drawn_for_people, made_by, refer_to_objects

ROLE = "picture"
#: Pages without images stand in a series of their own, so that none is taken for a finding.
NOTICE_ROLE = "notice"


def write(
    findings: Findings, provenance: Provenance, uids: ResultUids, pictures: Sequence[Picture] | None = None
) -> list[Dataset]:
    """A series of Secondary Capture images (PS3.3 A.8.1): the table first, then a picture per finding.

    They are RGB and uncompressed, and claim no frame of reference, since a page with several planes has none.

    Parameters
    ----------
    pictures
        As `page.pictures_of` drew them, where somebody has already done so.

    Raises
    ------
    EncodingError
        If the source mixes patients or studies, or the fonts are missing.
    """
    datasets = findings.source.datasets
    every = [*datasets, *(ds for companion in findings.companions for ds in companion.datasets)]
    guard_study(every)
    header = fit(datasets[0])
    drawn = pictures_of(findings, provenance) if pictures is None else pictures
    results = []
    with encoding(f"pictures of series {header.SeriesInstanceUID}"):
        for number, picture in enumerate(drawn, start=1):
            result = _image(picture, header, provenance, uids, ROLE, f"{ROLE}-{number}", number)
            refer_to_source(result, findings.source)
            refer_to_objects(result, every)
            results.append(result)
    return results


def refusal(
    datasets: Sequence[Dataset],
    reason: str,
    provenance: Provenance,
    uids: ResultUids,
    checks: Sequence[Check] = (),
    heading: Heading = NOT_ANALYSED,
) -> Dataset:
    """The picture "not analysed: reason", with what the quality gate found and needed.

    Parameters
    ----------
    datasets
        Any headers of one study, at least one.
    heading
        What it says: `NOT_ANALYSED` or `NOT_YET`.

    Raises
    ------
    EncodingError
        For no header, headers of several patients or studies, or missing fonts.
    """
    return _notice(heading, datasets, reason, provenance, uids, checks)


def withdrawal(datasets: Sequence[Dataset], reason: str, provenance: Provenance, uids: ResultUids) -> Dataset:
    """The picture that marks earlier results WITHDRAWN, for archives that take no rejection note.

    Parameters
    ----------
    datasets
        Headers of what is withdrawn or of its sources, of one study, at least one.

    Raises
    ------
    EncodingError
        As `refusal`.
    """
    return _notice(WITHDRAWN, datasets, reason, provenance, uids, ())


def _notice(
    heading: Heading,
    datasets: Sequence[Dataset],
    reason: str,
    provenance: Provenance,
    uids: ResultUids,
    checks: Sequence[Check],
) -> Dataset:
    guard_study(datasets)
    header = fit(datasets[0])
    picture = notice(heading, datasets, reason, provenance, checks)
    instance = "-".join(filter(None, (NOTICE_ROLE, heading.variant)))
    with encoding(f"notice on study {header.StudyInstanceUID}"):
        result = _image(picture, header, provenance, uids, NOTICE_ROLE, instance, heading.number)
        refer_to_objects(result, datasets)
    return result


def _image(
    picture: Picture,
    header: Dataset,
    provenance: Provenance,
    uids: ResultUids,
    role: str,
    instance: str,
    number: int,
) -> Dataset:
    result = ResultObject(
        SecondaryCaptureImageStorage,
        "OT",
        header,
        provenance,
        uids,
        role,
        instance=instance,
        instance_number=number,
    )
    drawn_for_people(result)
    made_by(result, provenance)
    tell_body_part(result, header)
    result.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    result.DerivationDescription = f"Picture for people drawn from the source images. {disclaimer(provenance)}"
    result.ImageComments = picture.title
    # Of type 2C (PS3.3 C.7.6.1): a page with several planes has no one orientation.
    result.PatientOrientation = []
    rows, columns, _ = picture.image.shape
    result.SamplesPerPixel, result.PhotometricInterpretation, result.PlanarConfiguration = 3, "RGB", 0
    result.Rows, result.Columns = rows, columns
    result.BitsAllocated, result.BitsStored, result.HighBit, result.PixelRepresentation = 8, 8, 7, 0
    result.LossyImageCompression = header.get("LossyImageCompression") or "00"
    if result.LossyImageCompression == "01":
        for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if header.get(keyword):
                setattr(result, keyword, header.get(keyword))
    data = picture.image.tobytes()
    result.PixelData = data + b"\x00" * (len(data) % 2)
    result["PixelData"].VR = "OB"
    return result
