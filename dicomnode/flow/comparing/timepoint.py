"""What a study says of a patient's lesions, from its regions and the numbers that were measured of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from pydicom import Dataset
from pydicom.valuerep import DA

from dicomnode.domain.finding import Measurement, Segmentation, SourceSeries
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.prior import Prior, PriorFile
from dicomnode.domain.response import Lesion, Reference, TimePoint
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.comparing.circumstances import circumstances
from dicomnode.measure import lesions, targets
from dicomnode.measure.change.circumstances import Circumstances


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A time point with the images that it was measured on, where these are at hand.

    Attributes
    ----------
    archived
        Tracking UIDs that objects of that study bear.
    remarks
        What limits its numbers.
    """

    point: TimePoint
    source: SourceSeries | None = field(default=None, repr=False)
    circumstances: Circumstances | None = None
    archived: frozenset[str] = frozenset()
    remarks: tuple[str, ...] = ()


def present(
    source: SourceSeries,
    found: Segmentation,
    rows: Sequence[Measurement],
    model: ModelSpec,
    uids: ResultUids,
    author: str,
) -> Told:
    """The present study; `author` is who drew its regions, empty where the model found them.

    Without a date of its own it has the first day that there is, after which nothing can be earlier.
    """
    header = source.datasets[0]
    day = _day(header) or date.min
    uid = str(header.get("StudyInstanceUID", ""))
    listed = lesions_of(found, rows, uids)
    listed = targets.named(listed) if author else listed
    return _told(source, listed, uid, day, author or name_of(model), by_person=bool(author), chosen=_any(listed))


def _any(listed: Sequence[Lesion]) -> bool:
    return any(one.target for one in listed)


def _day(header: Dataset) -> date | None:
    try:
        return DA(header.get("StudyDate") or header.get("SeriesDate") or None)
    except ValueError:
        return None


def lesions_of(found: Segmentation, rows: Sequence[Measurement], uids: ResultUids) -> tuple[Lesion, ...]:
    """The lesions of all label maps."""
    return tuple(one for layer in found.layers for one in lesions.of(layer, rows, uids.tracking))


def name_of(model: ModelSpec) -> str:
    """Who measured."""
    return f"{model.name} {model.version}"


def before(
    prior: Prior,
    source: SourceSeries | None,
    found: tuple[Lesion, ...],
    who: str,
    files: Sequence[PriorFile],
    *,
    by_person: bool = False,
    chosen: bool = False,
) -> Told:
    """An earlier study; `files` are what its numbers come from, `chosen` whether a person named its targets."""
    told = _told(source, found, prior.study_instance_uid, prior.study_date, who, by_person=by_person, chosen=chosen)
    references = tuple(
        Reference(
            study_instance_uid=prior.study_instance_uid,
            series_instance_uid=file.series_instance_uid,
            sop_class_uid=file.sop_class_uid,
            sop_instance_uid=file.sop_instance_uid,
        )
        for file in files
    )
    return replace(told, point=replace(told.point, references=references))


def _told(
    source: SourceSeries | None, found: tuple[Lesion, ...], study: str, day: date, who: str, *, by_person: bool,
    chosen: bool,
) -> Told:  # fmt: skip
    made = circumstances(source) if source else None
    words = {**(made.words if made else {}), "model": who}
    point = TimePoint(
        study_instance_uid=study, day=day, lesions=found, measured_by=who, by_person=by_person, chosen=chosen,
        comparability=words, slice_mm=_slice_mm(source, made) if source and made else None,
    )  # fmt: skip
    return Told(point=point, source=source, circumstances=made)


def _slice_mm(source: SourceSeries, made: Circumstances) -> float:
    """How thick slices are, or how far apart where there are gaps between them (RECIST 1.1, Appendix II)."""
    return max(made.thickness_mm or 0.0, float(source.volume.spacing[0]))
