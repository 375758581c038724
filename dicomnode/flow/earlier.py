"""What an earlier study says of a patient's lesions: drawn by a person, reported by us, or found by the model again."""

from __future__ import annotations

from dataclasses import replace

from pydicom import Dataset, dcmread

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.model import ModelSpec, Subject
from dicomnode.domain.prior import Prior, PriorKind
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.clinical import clinical
from dicomnode.flow.found import find
from dicomnode.flow.measured import measured
from dicomnode.flow.sources import read, subject
from dicomnode.flow.timepoint import Told, before, lesions_of, name_of
from dicomnode.infer.contours.read import read_contours
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.quality import gate
from dicomnode.report.earlier import read_lesions

#: Segment Algorithm Types of a mask that a person answers for (PS3.3 C.8.20.2); a structure set is drawn by people.
_BY_HAND = frozenset({"MANUAL", "SEMIAUTOMATIC"})


def earlier(prior: Prior, model: ModelSpec, sessions: Sessions, uids: ResultUids) -> Told:
    """An earlier study: contours that a person drew, else our report by the same model, else the model run on it.

    Raises
    ------
    Unsuitable
        If none of these is to be had.
    ModelError
        If the bundle or the runtime is at fault.
    """
    own = replace(uids, study_instance_uid=prior.study_instance_uid, tracked={})
    sources = _images(prior, model)
    drawn = _drawn(prior, model, sources[0], own) if sources else None
    if drawn is not None:
        return drawn
    reports, masks = ([file for file in files if file.own] for files in (prior.reports, prior.masks))
    said = read_lesions(
        [file.path for file in reports], [file.path for file in masks], model.name, model.version, model.segments
    )
    if said is not None:
        return before(prior, sources[0] if sources else None, said, name_of(model), (*reports, *masks))
    if not sources:
        raise Unsuitable(f"neither images for {model.name} nor its report, needed one of them")
    if model.contours:
        raise Unsuitable("no contours drawn by a person, needed them to measure it as the present study")
    gate.require(gate.check(sources, model), subject(sources))
    features = clinical(model.features, sources)
    found = find({}, sources, model, sessions, progress=lambda _done, _all: None, features=features, maps=False)
    rows = measured(sources[0], found.segmentation, model).measurements
    listed = lesions_of(found.segmentation, rows, own)
    images = [file for file in prior.files if file.kind is PriorKind.IMAGE and file.input == model.images[0].name]
    return before(prior, sources[0], listed, f"{name_of(model)}, run again", images)


def _images(prior: Prior, model: ModelSpec) -> list[SourceSeries]:
    paths = prior.images
    return read(paths, model, lambda _done, _all: None) if all(one.name in paths for one in model.images) else []


def _drawn(prior: Prior, model: ModelSpec, source: SourceSeries, uids: ResultUids) -> Told | None:
    """By a mask or structure set of another hand with lesions in organs that the model looks at, the last one given."""
    organs = {one.anatomic_region for one in model.segments if one.subject is not Subject.STRUCTURE}
    for file in reversed(prior.masks):
        if file.own or not _by_hand(dcmread(file.path, stop_before_pixels=True)):
            continue
        try:
            found = read_contours([file.path], source)
        except Unsuitable:
            continue  # it is of other images of that study, say
        contours = found.contours
        tracked = replace(uids, tracked=contours.tracking_uids if contours else {})
        listed = lesions_of(found.segmentation, measured(source, found.segmentation, model).measurements, tracked)
        counted = tuple(one for one in listed if not organs or one.organ is None or one.organ in organs)
        if counted:
            who = contours.author if contours else ""
            return before(prior, source, counted, who, [file], by_person=True)
    return None


def _by_hand(mask: Dataset) -> bool:
    kinds = {str(item.get("SegmentAlgorithmType", "")) for item in mask.get("SegmentSequence") or ()}
    return "StructureSetROISequence" in mask or bool(kinds & _BY_HAND)
