"""Gives the same lesion the same tracking UID at all times, that of the earliest object which bears one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dicomnode.domain.response import Lesion, TimePoint
from dicomnode.measure.change.match import Point, match


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One time point with where its lesions lie in the present images.

    Attributes
    ----------
    place
        From its own frame of reference to the present one; None where nobody knows.
    archived
        Tracking UIDs that an object of that study bears, and archives with it.
    """

    point: TimePoint
    place: Callable[[Point], Point] | None
    archived: frozenset[str] = frozenset()

    def places(self) -> tuple[Point | None, ...]:
        """The middle of every lesion in the present images."""
        return tuple(
            self.place(lesion.centroid_mm) if self.place and lesion.centroid_mm else None
            for lesion in self.point.lesions
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """Lesions followed through time.

    Attributes
    ----------
    points
        The time points in the order in which they came, the last one now; a lesion bears the earliest UID that an
        archived object gives it, else that of its first time.
    renamed
        Segment number of a present lesion → the tracking UID that it had before.
    doubts
        Tracking UID → why a match is uncertain.
    places
        Tracking UID → where the lesion lay last, in the present images.
    """

    points: tuple[TimePoint, ...]
    renamed: Mapping[int, str] = field(default_factory=dict)
    doubts: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Point] = field(default_factory=dict)


def track(seen: Sequence[Seen]) -> Tracks:
    """Follow lesions from time point to time point.

    A lesion that one time point lacks is looked for at the next from where it was last known to be.

    Parameters
    ----------
    seen
        The oldest first; the last one is the present, whose lesions lie where they lie.
    """
    known: dict[str, tuple[Lesion, Point | None]] = {}
    points: list[TimePoint] = []
    doubts: dict[str, str] = {}
    renamed: dict[int, str] = {}
    archived: set[str] = set()
    names: dict[str, str] = {}
    for one in seen:
        # What the matching looks at are the places in the present images.
        here = [
            replace(lesion, centroid_mm=place) for lesion, place in zip(one.point.lesions, one.places(), strict=True)
        ]
        earlier = [replace(lesion, tracking_uid=uid) for uid, (lesion, _) in known.items()]
        found = match(earlier, [place for _, place in known.values()], here)
        uids = [lesion.tracking_uid for lesion in here]
        renamed = {}
        for row, column in found.pairs:
            before, own = earlier[row].tracking_uid, uids[column]
            if own in one.archived and before not in archived and own != before:
                names[before] = own
                known[own] = known.pop(before)
            else:
                uids[column] = before
            renamed[here[column].segment_number] = uids[column]
        archived |= one.archived
        doubts |= found.doubts
        points.append(
            replace(
                one.point,
                lesions=tuple(
                    replace(lesion, tracking_uid=uid) for lesion, uid in zip(one.point.lesions, uids, strict=True)
                ),
            )
        )
        for uid, lesion in zip(uids, here, strict=True):
            # A report without images says nothing of the place, which stays where it was.
            last = known[uid][1] if uid in known else None
            known[uid] = lesion, lesion.centroid_mm or last
    places = {names.get(uid, uid): place for uid, (_, place) in known.items() if place is not None}
    return Tracks(
        points=tuple(_named(point, names) for point in points),
        renamed=renamed,
        doubts={names.get(uid, uid): text for uid, text in doubts.items()},
        places=places,
    )


def _named(point: TimePoint, names: Mapping[str, str]) -> TimePoint:
    lesions = (
        replace(lesion, tracking_uid=names.get(lesion.tracking_uid, lesion.tracking_uid)) for lesion in point.lesions
    )
    return replace(point, lesions=tuple(lesions))
