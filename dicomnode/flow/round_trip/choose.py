"""Chooses the rule that a made study goes by, and who gets its results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydicom import Dataset

from dicomnode.config import Settings
from dicomnode.domain.condition import ASSOCIATION_KEYS
from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.header import Header
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.network import Peer, PeerRole
from dicomnode.domain.rule import Rule, Use
from dicomnode.domain.study import Study
from dicomnode.flow.address import destinations
from dicomnode.flow.hold import hold
from dicomnode.flow.models.standing import held_for
from dicomnode.flow.round_trip.made import as_study, chest_ct, slice_spacing_mm
from dicomnode.flow.round_trip.ticket import Ticket, new_ticket
from dicomnode.flow.stacks import in_stacks
from dicomnode.infer.bundle.load import find_bundles
from dicomnode.route.inputs import feeds
from dicomnode.route.match import evaluate
from dicomnode.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A made study, under which title it goes, and the peers that its results shall reach."""

    ticket: Ticket
    called_aet: str
    datasets: tuple[Dataset, ...] = field(repr=False)
    peers: tuple[Peer, ...]


def choose(db: Database, settings: Settings, rule: str, peer: str) -> Chosen:
    """The first rule that takes a made chest CT, or the named one.

    Raises
    ------
    Unsuitable
        None does, or nobody would get the results; says why for every rule.
    """
    _require_known(settings, rule, peer)
    why = []
    for one in settings.rules:
        if rule in ("", one.name):
            try:
                return _by(db, settings, one, peer)
            except Unsuitable as error:
                why.append(f"rule {one.name}: {error}")
    raise Unsuitable("; ".join(why) or "there is no rule")


def _require_known(settings: Settings, rule: str, peer: str) -> None:
    rules, peers = [one.name for one in settings.rules], [one.name for one in settings.peers]
    for kind, name, known in (("rule", rule, rules), ("peer", peer, peers)):
        if name and name not in known:
            raise Unsuitable(f"no {kind} named {name}; known: {', '.join(known) or 'none'}")


def _by(db: Database, settings: Settings, rule: Rule, peer: str) -> Chosen:
    bundles, _broken = find_bundles(settings.models.folder)
    spec = bundles.get(rule.model)
    if not rule.runs or spec is None:
        raise Unsuitable(f"model {rule.model} is not usable" if rule.runs else "it is switched off, or in shadow")
    if held := held_for(db, rule.model):
        raise Unsuitable("; ".join(held))
    if spec.contours or len(spec.inputs) > 1:
        raise Unsuitable(f"model {spec.name} needs more than one CT series, and no other is made")
    sender = peer or _sender(settings, rule)
    called = next(_titles(settings, rule), "")
    if not sender or not called:
        lack = "no peer may have its results" if not sender else "no AE title of this node meets its called_aet"
        raise Unsuitable(lack)
    ticket = new_ticket(rule.name, sender)
    datasets = _made(rule, spec, ticket)
    study = as_study(datasets, calling_aet=ticket.calling_aet, called_aet=called, peer=sender)
    _require_taken(rule, spec, in_stacks(study))
    names, remarks = destinations(rule, study, settings)
    if peer and not {peer, getattr(settings.peer(peer), "results_to", "")} & set(names):
        raise Unsuitable(f"its results go to {', '.join(names) or 'nobody'}, not to {peer}")
    found = tuple(one for name in names if (one := settings.peer(name)) is not None)
    if not found:
        raise Unsuitable("; ".join(remarks) or "it has no destination")
    return Chosen(ticket=ticket, called_aet=called, datasets=tuple(datasets), peers=found)


def _made(rule: Rule, spec: ModelSpec, ticket: Ticket) -> list[Dataset]:
    wanted = [*rule.study, *rule.series, *(one for table in rule.inputs.values() for one in table)]
    wanted = [one for one in [*wanted, *spec.input.conditions] if one.key not in ASSOCIATION_KEYS]
    today = datetime.now(UTC).date()
    return chest_ct(ticket.study_instance_uid, today, slice_spacing_mm(wanted), wanted)


def _require_taken(rule: Rule, spec: ModelSpec, study: Study) -> None:
    held = [one for _series, one in hold(rule, study)]
    if not any(one.matched for one in held):
        unmet = dict.fromkeys(reason.text for one in held for reason in one.failed)
        raise Unsuitable(f"a made chest CT does not meet it: {'; '.join(unmet)}")
    found = feeds(rule, study, spec)
    if found and all(feed.lacking for feed in found):
        raise Unsuitable(found[0].lacking)


def _sender(settings: Settings, rule: Rule) -> str:
    """The peer in whose place the study is sent: one that gets the results of what it sends, archives first."""
    able = [
        one for one in settings.peers
        if one.may_receive and (one.accept_research or rule.use is Use.CLINICAL)
        and ("sender" in rule.destinations or one.name in rule.destinations)
    ]  # fmt: skip
    able.sort(key=lambda one: one.role is not PeerRole.ARCHIVE)
    return able[0].name if able else ""


def _titles(settings: Settings, rule: Rule) -> Iterator[str]:
    """Our titles that the rule lets its studies be sent to."""
    asked = [one for one in rule.study if one.key == "called_aet"]
    for title in settings.node.called_aets:
        if all(evaluate(one, [Header.of({})], {"called_aet": title}).met for one in asked):
            yield title
