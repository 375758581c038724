"""How lesions that a person drew on an earlier study go together with what a report or model says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dicomnode.domain.response import Lesion
from dicomnode.flow.by_hand import Drawn, overlap
from dicomnode.measure.change.match import match


@dataclass(frozen=True, slots=True, kw_only=True)
class United:
    """Lesions of a report or model with those that a person drew.

    Attributes
    ----------
    by_person
        Whether a person's stand alone.
    """

    lesions: tuple[Lesion, ...]
    by_person: bool
    remarks: tuple[str, ...] = ()


def united(said: Sequence[Lesion], by_hand: Drawn, *, reported: bool) -> United:
    """A correction of our own mask replaces what we said; else a person's lesion replaces the one that it lies on.

    Where the person has named targets, these are the targets and no others.

    Parameters
    ----------
    said
        What a report of ours or the model says.
    reported
        Whether a report says it, whose tracking UIDs a corrected mask keeps.
    """
    everything, chosen = (*by_hand.lesions, *by_hand.elsewhere), by_hand.chosen
    known = {lesion.tracking_uid: lesion for lesion in said}
    if reported and known.keys() & by_hand.archived:
        targets = {uid for uid, lesion in known.items() if lesion.target}
        kept = tuple(replace(one, target=one.tracking_uid in targets) for one in everything)
        return United(lesions=everything if chosen else kept, by_person=True)
    if by_hand.lesions and any(lesion.centroid_mm is None for lesion in said):
        return United(lesions=by_hand.lesions, by_person=True)
    pairs = match(said, [lesion.centroid_mm for lesion in said], everything).pairs
    instead = {row: everything[column] for row, column in pairs if overlap(said[row], everything[column])}
    lesions = [
        replace(
            new,
            tracking_uid=old.tracking_uid,
            label=old.label,
            target=new.target if chosen else old.target,
            organ=new.organ or old.organ,
        )
        if (new := instead.get(row)) is not None
        else replace(old, target=old.target and not chosen)
        for row, old in enumerate(said)
    ]
    taken = {one.tracking_uid for one in instead.values()}
    lesions += (one for one in by_hand.lesions if one.tracking_uid not in taken)
    aside = [one.label for one in by_hand.elsewhere if one.tracking_uid not in taken]
    remarks = (f"{', '.join(aside)} drawn by a person in no organ that the model names: left aside",) if aside else ()
    return United(lesions=tuple(lesions), by_person=bool(lesions) and not said, remarks=remarks)


def with_uids(by_hand: Drawn, said: Sequence[Lesion]) -> tuple[Lesion, ...]:
    """A person's lesions with the tracking UIDs and target marks of our report on them, known by their names."""
    names = [lesion.label for lesion in by_hand.lesions]
    reported = {lesion.label: lesion for lesion in said}
    return tuple(
        replace(
            one,
            tracking_uid=reported[one.label].tracking_uid,
            target=one.target if by_hand.chosen else reported[one.label].target,
        )
        if one.label in reported and names.count(one.label) == 1
        else one
        for one in by_hand.lesions
    )
