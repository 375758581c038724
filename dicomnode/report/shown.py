"""What every object made for people's eyes says of patient, study, equipment and sources."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from pydicom import Dataset
from pydicom.sequence import Sequence as Items

from dicomnode.domain.finding import Provenance
from dicomnode.report.provenance import MANUFACTURER, MODEL_NAME, shortened
from dicomnode.report.references import evidence


def drawn_for_people(result: Dataset) -> None:
    """Say how it came about (PS3.3 C.8.6.1), and that what is drawn on it identifies the patient."""
    result.ConversionType = "WSD"
    result.BurnedInAnnotation = "YES"


def made_by(result: Dataset, provenance: Provenance) -> None:
    """Name this node as what captured the picture (PS3.3 C.8.6.1, C.8.6.2)."""
    result.SecondaryCaptureDeviceManufacturer = MANUFACTURER
    result.SecondaryCaptureDeviceManufacturerModelName = MODEL_NAME
    result.SecondaryCaptureDeviceSoftwareVersions = [shortened(provenance.node_version)]
    result.DateOfSecondaryCapture, result.TimeOfSecondaryCapture = result.ContentDate, result.ContentTime


def refer_to_objects(result: Dataset, datasets: Sequence[Dataset]) -> None:
    """Name objects of one study as sources (General Reference, Common Instance Reference, PS3.3 C.12.4, C.12.2)."""
    (study,) = evidence(datasets)
    result.SourceInstanceSequence = Items(
        deepcopy(one) for series in study.ReferencedSeriesSequence for one in series.ReferencedSOPSequence
    )
    items = []
    for series in study.ReferencedSeriesSequence:
        item = Dataset()
        item.SeriesInstanceUID = series.SeriesInstanceUID
        item.ReferencedInstanceSequence = series.ReferencedSOPSequence
        items.append(item)
    result.ReferencedSeriesSequence = Items(items)
