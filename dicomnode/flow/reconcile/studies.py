"""Finds studies of an archive that match a rule and have no result of this node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from dicomnode.config import Settings
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.header import Header
from dicomnode.domain.network import Peer
from dicomnode.domain.rule import Rule
from dicomnode.flow.reconcile.lack import is_result, lack
from dicomnode.flow.reconcile.match import Told, keywords, told
from dicomnode.infer.bundle.load import find_bundles
from dicomnode.store.database import Database
from dicomnode.store.standing import own_series, standing


class Catalogue(Protocol):
    """What an archive can be asked; raises `DeliveryError` or `PeerUnreachable`."""

    def studies(self, day: date, keywords: tuple[str, ...]) -> Mapping[str, Header]:
        """The studies of a day."""

    def series(self, study_instance_uid: str, keywords: tuple[str, ...]) -> Mapping[str, Header]:
        """The series of a study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """A study that a rule would take, and that has no result of it.

    Attributes
    ----------
    study_at
        Study Date and Time as the archive says.
    not_told
        Attributes on which the rule or the model puts conditions and of which the archive said nothing.
    why, command
        Where it stands, and what would move it on.
    """

    study_instance_uid: str
    study_at: str
    rule: str
    not_told: tuple[str, ...]
    why: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What was looked at and what was found.

    Attributes
    ----------
    studies
        How many studies the archive has of that time.
    matching
        How many times one of them matches a rule.
    unusable
        Rules that were left out since their model cannot be read.
    """

    peer: str
    since: datetime
    until: datetime
    studies: int
    matching: int
    lacking: tuple[Lacking, ...]
    unusable: tuple[str, ...]


def reconcile(
    db: Database, settings: Settings, peer: Peer, catalogue: Catalogue, since: datetime, until: datetime
) -> Reconciled:
    """Hold every study of an archive between two moments against the rules and against what this node has sent.

    Study Date and Time have no zone; they are taken to be those of this machine.

    Raises
    ------
    PeerUnreachable, DeliveryError
        The archive gave no answer, or a failure.
    """
    bundles, _broken = find_bundles(settings.models.folder)
    rules = [(rule, bundles[rule.model]) for rule in settings.rules if rule.runs and rule.model in bundles]
    unusable = tuple(rule.name for rule in settings.rules if rule.runs and rule.model not in bundles)
    if not rules:
        raise DicomNodeError("no rule is enabled with a model that can be read; `dicomnode check` says why")
    asked, found, studies, matching = keywords(rules), list[Lacking](), 0, 0
    for uid, header in _studies(catalogue, asked[0], since, until):
        studies += 1
        series = catalogue.series(uid, asked[1])
        ours = own_series(db, uid)
        # What was made of it is no reason to analyse it.
        images = [one for key, one in series.items() if key not in ours and not is_result(one)]
        for rule, spec in rules:
            match = told(rule, spec, header, images)
            if match is not None:
                matching += 1
                found += _lacking(db, settings, peer, uid, header, rule, match, series)
    return Reconciled(
        peer=peer.name, since=since, until=until, studies=studies, matching=matching, lacking=tuple(found),
        unusable=unusable,
    )  # fmt: skip


def _lacking(
    db: Database, settings: Settings, peer: Peer, uid: str, header: Header, rule: Rule, match: Told,
    series: Mapping[str, Header],
) -> Iterator[Lacking]:  # fmt: skip
    gets = peer.name in rule.destinations or "sender" in rule.destinations
    stands = standing(db, uid, rule.name, peer.name if gets else "")
    found = lack(stands, uid, peer, settings.node.aet, series, gets=gets)
    if found is not None:
        at = f"{header.text('StudyDate')} {header.text('StudyTime')[:6]}".strip()
        yield Lacking(
            study_instance_uid=uid, study_at=at, rule=rule.name, not_told=match.not_told, why=found[0],
            command=found[1],
        )  # fmt: skip


def _studies(
    catalogue: Catalogue, keys: tuple[str, ...], since: datetime, until: datetime
) -> Iterator[tuple[str, Header]]:
    """The studies between two moments, day by day; those without a time count to their day."""
    first, last = since.astimezone(), until.astimezone()
    day, seen = first.date(), set[str]()
    while day <= last.date():
        for uid, header in catalogue.studies(day, keys).items():
            time = header.text("StudyTime").replace(":", "")[:6]
            early = day == first.date() and time and time < f"{first:%H%M%S}"[: len(time)]
            late = day == last.date() and time and time > f"{last:%H%M%S}"[: len(time)]
            if not early and not late and uid not in seen:
                seen.add(uid)
                yield uid, header
        day += timedelta(days=1)
