"""The process that listens and settles (loops 1 and 2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event

from dicomnode.config import Settings
from dicomnode.config.secure import as_tls
from dicomnode.domain.network import TurnedAway
from dicomnode.flow import child
from dicomnode.flow.audited.intake import AuditedIntake
from dicomnode.flow.audited.trail import open_trail, this_node
from dicomnode.flow.commitment.roles import involved
from dicomnode.flow.metrics.tally import Tally
from dicomnode.flow.prepared import wait_until_prepared
from dicomnode.flow.reload.handed import handed_ports
from dicomnode.flow.round_trip.ticket import guest
from dicomnode.node.door import Door, LateDesk
from dicomnode.receive.admission import Admission
from dicomnode.receive.limits import Limits
from dicomnode.receive.scp import Listener, Secure
from dicomnode.receive.storing import Intake
from dicomnode.receive.users import Users
from dicomnode.store.files import Files
from dicomnode.tls.credentials import Credentials


def receive(settings: Settings, stop: Event) -> None:
    """Listen and settle until stopped (loops 1 and 2).

    The port is open before the store is: whoever calls while that is migrated is answered, and told to try later.
    """
    files = Files(settings.store.folder)
    door, desk, tally = Door(), LateDesk() if involved(settings) else None, Tally()
    taken, turned_away = audited_intake(door, settings)
    limits = Limits(
        maximum_associations=settings.node.maximum_associations,
        maximum_associations_per_peer=settings.node.maximum_associations_per_peer,
        maximum_object_bytes=settings.limits.object_mib << 20,
        slowest_bytes_per_second=settings.limits.slowest_bytes_per_second,
        network_timeout_seconds=settings.node.network_timeout_seconds,
    )
    listener = Listener(
        aets=[settings.node.aet, *settings.node.also_called],
        on_demand_aets=settings.node.on_demand,
        host=settings.node.host,
        port=settings.node.port,
        admission=Admission(
            peers=settings.peers,
            called_aets=frozenset(settings.node.called_aets),
            accept_unknown=settings.node.accept_unknown,
            guest=partial(guest, settings),
        ),
        intake=taken,
        incoming=files.incoming,
        limits=limits,
        secure=secure(settings),
        commitment=desk,
        on_turned_away=turned_away,
        inherited=handed_ports(),
        tally=tally,
    )
    if not child.is_heir():
        listener.start()
    try:
        if wait_until_prepared(settings.store.folder, stop):
            # Imported while callers are answered already: they take longer than all that is above.
            from dicomnode.node.settling import take_in
            from dicomnode.node.stow import posting

            posts = partial(posting, settings, taken, files.incoming, limits, turned_away, tally)
            take_in(settings, stop, files, listener, door, desk, tally, posts)
    finally:
        # Its threads would keep a process that has failed, and with it the port. Studies that are complete may
        # still settle while the last associations drain.
        listener.stop(settings.node.drain_seconds)


def audited_intake(intake: Intake, settings: Settings) -> tuple[Intake, Callable[[TurnedAway], None]]:
    """`intake`, recorded, and what to tell of callers that are not let in."""
    trail = open_trail(settings)
    if trail is None:
        return intake, lambda _caller: None
    told = settings.audit.associations or settings.audit.required
    audited_one = AuditedIntake(intake, trail, this_node(settings), associations=told)
    return audited_one, audited_one.turned_away


def secure(settings: Settings) -> Secure | None:
    """The port for TLS, if one is configured.

    Raises
    ------
    ConfigError
        One of its files cannot be used.
    """
    table = settings.tls
    if not table.port:
        return None
    return Secure(
        port=table.port,
        credentials=Credentials(as_tls(table), server=True, required=table.require_client_certificate),
        users=Users(Path(table.users)) if table.users else None,
        only=table.only,
    )
