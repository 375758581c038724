"""Lists the objects of an earlier study at an archive, and tells which series could not be had."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from dicomnode.domain.errors import DeliveryError, PeerUnreachable
from dicomnode.flow.priors.archive import Archive
from dicomnode.flow.priors.series import MOST_SERIES, Useful, may_be_ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A study that an archive has, with what of it may be of use.

    Attributes
    ----------
    series
        Series → SOP Instance UID → SOP Class UID ("" where the archive does not say).
    images
        Which of these series are images.
    lacks
        Series whose objects the archive did not list.
    """

    study_instance_uid: str
    study_date: date
    series: Mapping[str, Mapping[str, str]]
    images: frozenset[str]
    lacks: tuple[Lack, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """A series that could not be had, in words; `image` where it holds images."""

    text: str
    image: bool


def counted(count: int) -> str:
    """So many earlier studies."""
    return "1 earlier study" if count == 1 else f"{count} earlier studies"


def in_words(lacks: Sequence[Lack]) -> str:
    """What could not be had: the first, and how many more."""
    more = f", and {len(lacks) - 1} more series" if len(lacks) > 1 else ""
    return (lacks[0].text if lacks else "") + more


def listed(archive: Archive, source: str, study: str, day: date, wanted: Useful) -> Listing:
    """The objects of a study; a series whose listing fails takes the association with it, but no other series."""
    series: dict[str, Mapping[str, str]] = {}
    lacks: list[Lack] = []
    left, reports, images = deque(wanted.in_order), 0, frozenset(one.series_instance_uid for one in wanted.images)
    while left:
        with archive.asked() as questions:
            while left:
                one = left.popleft()
                uid = one.series_instance_uid
                if one in wanted.reports and reports == MOST_SERIES:
                    continue
                try:
                    objects = questions.instances(study, uid, one.instances)
                except PeerUnreachable:
                    raise
                except DeliveryError as error:
                    lacks.append(Lack(text=f"series {uid}: {error}", image=uid in images))
                    break
                if not objects:
                    text = f"{source}: lists series {uid} but none of its objects"
                    lacks.append(Lack(text=text, image=uid in images))
                elif one not in wanted.reports or may_be_ours(objects):
                    series[uid] = objects
                    reports += one in wanted.reports
    return Listing(
        study_instance_uid=study, study_date=day, series=series, images=images, lacks=tuple(lacks)
    )  # fmt: skip
