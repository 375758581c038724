"""Tests the peers that rules fetch earlier studies from: whether each lets this node query and retrieve."""

from __future__ import annotations

from collections.abc import Iterator

from dicomnode.config import Settings
from dicomnode.deliver.association import Timeouts, conversation
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.network import Peer
from dicomnode.flow.priors.own import finds_lesions
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.infer.bundle.load import find_bundles
from dicomnode.query import find, retrieve
from dicomnode.query.talk import missing


def prior_sources(settings: Settings) -> Iterator[Check]:
    """Whether the rules can compare at all, and every peer that one names as a source of priors, once."""
    yield from comparing_rules(settings)
    for peer in settings.peers:
        yield from source_of_priors(settings, peer)


def comparing_rules(settings: Settings) -> Iterator[Check]:
    """Rules that ask for priors, for which their model has no use."""
    bundles, _broken = find_bundles(settings.models.folder)
    for rule in settings.rules:
        spec = bundles.get(rule.model) if rule.priors else None
        if spec is not None and not finds_lesions(spec):
            yield Check(
                subject=f"rule {rule.name}",
                verdict=Verdict.WARN,
                found=f"priors: {rule.model} finds no lesions, and nothing else is compared",
                remedy="none are looked for; leave priors out",
            )


def source_of_priors(settings: Settings, peer: Peer) -> Iterator[Check]:
    """Whether a peer that a rule names as a source of priors can be one."""
    if any(peer.name in rule.priors.peers for rule in settings.rules if rule.priors):
        yield _source(settings, peer)


def _source(settings: Settings, peer: Peer) -> Check:
    subject = f"{peer.name} as a source of priors"
    how = "C-MOVE" if peer.retrieve == "move" else "C-GET"
    fetching = retrieve.move_contexts() if peer.retrieve == "move" else retrieve.get_contexts((), ())
    contexts = [*find.contexts(), *fetching]
    timeouts = Timeouts(
        connect_seconds=settings.deliver.connect_timeout_seconds,
        dimse_seconds=settings.deliver.response_timeout_seconds,
    )
    roles = retrieve.get_roles(fetching) if peer.retrieve == "get" else ()
    try:
        with conversation(peer, contexts, calling_aet=settings.node.aet, timeouts=timeouts, roles=roles) as talk:
            lacking = missing(talk, {"C-FIND": contexts[0], how: fetching[0]})
    except DicomNodeError as error:
        return Check(
            subject=subject,
            verdict=Verdict.WARN,
            found=str(error),
            remedy="results do not wait for it, but lack priors",
        )
    if lacking:
        remedy = f"allow {settings.node.aet} to query and retrieve there"
        return Check(
            subject=subject, verdict=Verdict.WARN, found=f"accepts no {' and no '.join(lacking)}", remedy=remedy
        )
    known = f"; it has to know {settings.node.aet} with this machine's address" if how == "C-MOVE" else ""
    return Check(subject=subject, verdict=Verdict.OK, found=f"accepts C-FIND and {how} (Study Root){known}")
