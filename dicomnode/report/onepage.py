"""The result on one A4 page as an Encapsulated PDF, for archives that show documents."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import EncapsulatedPDFStorage

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report.boundary import encoding
from dicomnode.report.code import coded
from dicomnode.report.identity import fit, guard_study
from dicomnode.report.picture import Picture
from dicomnode.report.provenance import headline, shortened
from dicomnode.report.result import ResultObject
from dicomnode.report.shown import drawn_for_people, refer_to_objects

ROLE = "pdf"

#: CID 7020 "Document Titles"; the structured report of the same findings has the same title.
_TITLE = Code(value="126000", scheme="DCM", meaning="Imaging Measurement Report")


def write(findings: Findings, provenance: Provenance, uids: ResultUids, pictures: Sequence[Picture]) -> Dataset:
    """An Encapsulated PDF (PS3.3 A.45.1) with the measurements, the remarks and the first pictures.

    The same findings, provenance and UIDs give the same bytes.

    Parameters
    ----------
    pictures
        As `page.pictures_of` drew them.

    Raises
    ------
    EncodingError
        If the source mixes patients or studies, or the fonts are missing.
    """
    datasets = findings.source.datasets
    every = [*datasets, *(ds for companion in findings.companions for ds in companion.datasets)]
    guard_study(every)
    header = fit(datasets[0])
    # It imports matplotlib, which takes a second and looks for a folder to write its cache to.
    from dicomnode.report.sheet import sheet

    with encoding(f"PDF on series {header.SeriesInstanceUID}"):
        document = sheet(findings, provenance, pictures)
        result = ResultObject(
            EncapsulatedPDFStorage,
            "DOC",
            header,
            provenance,
            uids,
            ROLE,
            instance=ROLE,
            instance_number=1,
        )
        drawn_for_people(result)
        result.AcquisitionDateTime = None
        result.DocumentTitle = shortened(headline(provenance))
        result.ConceptNameCodeSequence = Items([coded(_TITLE)])
        result.VerificationFlag = "UNVERIFIED"
        refer_to_objects(result, every)
        # The document is what refers to its sources here; the module of series references is not part of this object.
        del result.ReferencedSeriesSequence
        result.MIMETypeOfEncapsulatedDocument = "application/pdf"
        result.EncapsulatedDocumentLength = len(document)
        # An odd length is padded, and the length above says where the document ends (PS3.3 C.24.2).
        result.EncapsulatedDocument = document + b"\x00" * (len(document) % 2)
    return result
