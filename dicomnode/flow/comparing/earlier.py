"""What an earlier study says of a patient's lesions: drawn by a person, reported by us, or found by the model again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.prior import Prior, PriorFile, PriorKind
from dicomnode.domain.response import Lesion, names_target
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.by_hand import Drawn
from dicomnode.flow.clinical import clinical
from dicomnode.flow.comparing.timepoint import Told, before, lesions_of, name_of
from dicomnode.flow.comparing.united import united, with_uids
from dicomnode.flow.drawn import drawn
from dicomnode.flow.found import find
from dicomnode.flow.measured import measured
from dicomnode.flow.sources import read, subject
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.quality import gate
from dicomnode.report.earlier import read_lesions, standing
from dicomnode.report.told_sums import read_sums


def earlier(prior: Prior, model: ModelSpec, sessions: Sessions) -> Told:
    """An earlier study: contours that a person drew, our report by the same model, else the model run on it.

    What a person drew replaces, lesion by lesion, what the report or the model says.

    Raises
    ------
    Unsuitable
        If none of these is to be had.
    ModelError
        If the bundle or the runtime is at fault.
    """
    own = _uids(prior, model)
    sources = _images(prior, model)
    source = sources[0] if sources else None
    by_hand = drawn(prior, model, source, own) if source else None
    reports, masks = ([file for file in files if file.own] for files in (prior.reports, prior.masks))
    stands = standing([file.path for file in reports], model.name, model.version)
    reports = [file for file in reports if file.sop_instance_uid in stands]
    masks = [file for file in masks if file.sop_instance_uid in stands] or masks
    paths = [file.path for file in reports]
    said = read_lesions(paths, [file.path for file in masks], model.name, model.version, model.segments)
    sums = read_sums(paths, model.name, model.version) if said is not None else ()
    if model.contours and by_hand and by_hand.lesions:
        told = _by_person(prior, source, by_hand, with_uids(by_hand, said or ()))
        archived = by_hand.archived | {one.tracking_uid for one in said or ()}
    elif said is not None:
        told = _together(prior, source, said, by_hand, name_of(model), (*reports, *masks), reported=True)
        archived = frozenset(one.tracking_uid for one in said) | (by_hand.archived if by_hand else frozenset())
        # The report keeps the names of what was drawn, also where the drawing itself is not at hand.
        named = bool(model.contours) and any(one.target and names_target(one.label) for one in said)
        told = replace(told, point=replace(told.point, chosen=told.point.chosen or named))
    elif by_hand and by_hand.lesions:
        told, archived = _by_person(prior, source, by_hand, by_hand.lesions), by_hand.archived
    else:
        listed = _run_again(prior, model, sources, sessions, own)
        images = [file for file in prior.files if file.kind is PriorKind.IMAGE and file.input == model.images[0].name]
        told = _together(prior, source, listed, by_hand, f"{name_of(model)}, run again", images, reported=False)
        archived = frozenset()
    return replace(told, point=replace(told.point, sums=sums), archived=archived)


def _uids(prior: Prior, model: ModelSpec) -> ResultUids:
    """What depends on that study, its images and the model alone, so that all later studies give the same UIDs."""
    images = sorted({file.series_instance_uid for file in prior.files if file.kind is PriorKind.IMAGE})
    return ResultUids(
        study_instance_uid=prior.study_instance_uid,
        rule="",
        input_digest=" ".join(images),
        recipe_digest=name_of(model),
        run=0,
    )


def _images(prior: Prior, model: ModelSpec) -> list[SourceSeries]:
    paths = prior.images
    return read(paths, model, lambda _done, _all: None) if all(one.name in paths for one in model.images) else []


def _run_again(
    prior: Prior, model: ModelSpec, sources: Sequence[SourceSeries], sessions: Sessions, own: ResultUids
) -> tuple[Lesion, ...]:
    if not sources:
        raise Unsuitable(f"neither images for {model.name} nor its report, needed one of them")
    if model.contours:
        raise Unsuitable("no contours drawn by a person, needed them to measure it as the present study")
    gate.require(gate.check(sources, model), subject(sources))
    features = clinical(model.features, sources)
    found = find({}, sources, model, sessions, progress=lambda _done, _all: None, features=features, maps=False)
    return lesions_of(found.segmentation, measured(sources[0], found.segmentation, model).measurements, own)


def _by_person(prior: Prior, source: SourceSeries | None, by_hand: Drawn, lesions: tuple[Lesion, ...]) -> Told:
    return before(prior, source, lesions, by_hand.author, by_hand.files, by_person=True, chosen=by_hand.chosen)


def _together(
    prior: Prior,
    source: SourceSeries | None,
    said: tuple[Lesion, ...],
    by_hand: Drawn | None,
    who: str,
    files: Sequence[PriorFile],
    *,
    reported: bool,
) -> Told:
    if by_hand is None:
        return before(prior, source, said, who, files)
    both = united(said, by_hand, reported=reported)
    if both.by_person:
        return replace(_by_person(prior, source, by_hand, both.lesions), remarks=both.remarks)
    if both.lesions == said:
        return replace(before(prior, source, said, who, files), remarks=both.remarks)
    whose = f"{who} and {by_hand.author}" if by_hand.author else who
    files = [*files, *by_hand.files]
    return replace(before(prior, source, both.lesions, whose, files, chosen=by_hand.chosen), remarks=both.remarks)
