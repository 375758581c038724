"""References from our results to the images that they were made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydicom import DataElement, Dataset
from pydicom.sequence import Sequence as Items
from pydicom.sr.codedict import codes
from pydicom.tag import Tag

from dicomnode.domain.finding import Plane, SourceSeries
from dicomnode.report.code import coded
from dicomnode.report.frames import frame_of, reference

_DERIVATION, _CODE, _IMAGES, _PURPOSE, _PRESERVED = (
    Tag(keyword)
    for keyword in (
        "DerivationImageSequence",
        "DerivationCodeSequence",
        "SourceImageSequence",
        "PurposeOfReferenceCodeSequence",
        "SpatialLocationsPreserved",
    )
)
#: An object is named by these, from study to instance.
_LEVELS = tuple(Tag(keyword) for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))


def evidence(datasets: Iterable[Dataset]) -> list[Dataset]:
    """Items of the Current Requested Procedure Evidence Sequence (PS3.3 C.17.2.3), each object once.

    Parameters
    ----------
    datasets
        Headers of one study, in the order in which they are to be listed.
    """
    studies: dict[str, dict[str, dict[str, Dataset]]] = {}
    for ds in datasets:
        study_instance_uid, series_instance_uid, sop_instance_uid = (str(ds[tag].value) for tag in _LEVELS)
        series = studies.setdefault(study_instance_uid, {}).setdefault(series_instance_uid, {})
        series.setdefault(sop_instance_uid, ds)
    found = []
    for study_instance_uid, by_series in studies.items():
        study = Dataset()
        study.StudyInstanceUID = study_instance_uid
        study.ReferencedSeriesSequence = Items(_series(uid, instances.values()) for uid, instances in by_series.items())
        found.append(study)
    return found


def _series(series_instance_uid: str, datasets: Iterable[Dataset]) -> Dataset:
    item = Dataset()
    item.ReferencedSOPSequence = Items(reference(ds) for ds in datasets)
    item.SeriesInstanceUID = series_instance_uid
    return item


def refer_to_source(result: Dataset, source: SourceSeries) -> None:
    """Name the source's objects in General Image and Common Instance Reference (PS3.3 C.7.6.1, C.12.2).

    Of a multi-frame object of which the stack is only a part, the frames of the stack are named.
    """
    frames: dict[int, list[int]] = {}
    for plane in source.planes:
        frames.setdefault(id(plane.dataset), []).extend(frame_of(plane) or (1,))
    instances = [reference(ds) for ds in source.datasets]
    images = []
    for ds, whole in zip(source.datasets, instances, strict=True):
        used = sorted(frames[id(ds)])
        images.append(reference(ds, used) if len(used) < int(ds.get("NumberOfFrames") or 1) else whole)
    result.SourceImageSequence = Items(images)
    series = Dataset()
    series.SeriesInstanceUID = source.datasets[0].SeriesInstanceUID
    series.ReferencedInstanceSequence = Items(instances)
    result.ReferencedSeriesSequence = Items([series])


def derive_frames(frames: Iterable[Dataset], planes: Sequence[Plane]) -> None:
    """Say of every frame of a SEG which image it was drawn on (PS3.3 C.7.6.16.2.6), with its frame number.

    Parameters
    ----------
    frames
        Items of the Per-Frame Functional Groups Sequence; changed in place.
    planes
        The source plane of each.
    """
    derivation, purpose = coded(codes.DCM.Segmentation), coded(codes.DCM.SourceImageForImageProcessingOperation)
    # One element for all frames, since it says the same and nobody changes what was made.
    said_derivation = DataElement(_CODE, "SQ", Items([derivation]))
    said_purpose = DataElement(_PURPOSE, "SQ", Items([purpose]))
    preserved = DataElement(_PRESERVED, "CS", "YES")
    made: dict[int, Items] = {}
    for frame, plane in zip(frames, planes, strict=True):
        if id(plane) not in made:
            image = reference(plane.dataset, frame_of(plane))
            image[_PURPOSE] = said_purpose
            image[_PRESERVED] = preserved
            images = DataElement(_IMAGES, "SQ", Items([image]), already_converted=True)
            made[id(plane)] = Items([Dataset({_CODE: said_derivation, _IMAGES: images})])
        frame[_DERIVATION] = DataElement(_DERIVATION, "SQ", made[id(plane)], already_converted=True)
