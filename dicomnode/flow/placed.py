"""Where the lesions of an earlier study lie in the present images."""

from __future__ import annotations

from collections.abc import Mapping

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.response import TimePoint
from dicomnode.flow.comparing.timepoint import Told
from dicomnode.measure.change.register import GOOD_CORRELATION, Point, inside, register
from dicomnode.measure.change.track import Seen

_HOUNSFIELD = "[hnsf'U]"


def placed(before: Told, now: Told) -> tuple[Seen, tuple[str, ...]]:
    """Where the lesions of an earlier study lie in the present images, and what limits that.

    Images are registered only where a lesion has to be looked for by its place.

    Raises
    ------
    Unsuitable
        If they cannot be registered and no tracking UID tells what is what.
    """
    mine = {lesion.tracking_uid for lesion in now.point.lesions}
    unknown = [lesion for lesion in before.point.lesions if lesion.tracking_uid not in mine]
    if not unknown or not now.source:
        return Seen(point=before.point, place=None), ()
    if not before.source:
        return Seen(point=before.point, place=None), (
            "lesions were matched by tracking UID alone: no images to register",
        )
    hounsfield = now.source.unit == before.source.unit == _HOUNSFIELD
    try:
        found = register(before.source.volume, now.source.volume, hounsfield=hounsfield)
    except ValueError as error:
        reason = str(error)
    else:
        if found.good:
            return Seen(point=before.point, place=found.place), ()
        reason = f"registration poor: correlation {found.correlation:.2f}, needed {GOOD_CORRELATION:g}"
    if not any(lesion.tracking_uid in mine for lesion in before.point.lesions):
        raise Unsuitable(f"{reason}, and no lesion bears the same tracking UID")
    return Seen(point=before.point, place=None), (f"{reason}; lesions were matched by tracking UID alone",)


def not_reached(places: Mapping[str, Point], last: TimePoint, now: Told) -> frozenset[str]:
    """Tracking UIDs of lesions that lay where the present images do not reach."""
    present_uids = {lesion.tracking_uid for lesion in last.lesions}
    volume = now.source.volume if now.source else None
    return frozenset(
        uid for uid, place in places.items() if uid not in present_uids and volume and not inside(volume, place)
    )
