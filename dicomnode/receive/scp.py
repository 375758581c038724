"""The DIMSE listener: C-ECHO and C-STORE for several AE titles on one port."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from uuid import uuid4

import structlog
from pynetdicom import AE, _config, evt
from structlog.contextvars import bind_contextvars

from dicomnode.domain import network
from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.receive.acceptor import Acceptor, NodeAssociation, Server
from dicomnode.receive.admission import NO_REASON_GIVEN, Admission, Admitted, Rejected
from dicomnode.receive.answer import SUCCESS
from dicomnode.receive.census import Census
from dicomnode.receive.commitment import Desk, context_for, handlers
from dicomnode.receive.contexts import presentation_contexts
from dicomnode.receive.descriptors import require
from dicomnode.receive.limits import Limits
from dicomnode.receive.storing import Intake, Storing, attempt
from dicomnode.receive.tally import Tally
from dicomnode.receive.throttle import Throttle
from dicomnode.receive.users import Users
from dicomnode.tls.credentials import Credentials

log = structlog.get_logger(__name__)

#: (result, source, reason) of an A-ASSOCIATE-RJ (PS3.8 Table 9-21): transient, by presentation, local limit exceeded.
_LOCAL_LIMIT_EXCEEDED = (2, 3, 2)

#: How long an A-ABORT may take to reach the peer when the node stops.
_ABORT_SECONDS = 1.0

#: How often the listening thread looks whether it shall stop.
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Secure:
    """A port for TLS, beside the plain one or in place of it.

    Attributes
    ----------
    credentials
        What the node shows and trusts there.
    users
        Whom peers may name with a passcode; None asks nobody.
    only
        Whether this is the only port.
    """

    port: int
    credentials: Credentials
    users: Users | None = None
    only: bool = False


def configure_pynetdicom() -> None:
    """Set what pynetdicom keeps per process: neither its log handlers nor its debug level may print data sets."""
    _config.LOG_HANDLER_LEVEL = "none"
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)


class Listener:
    """Takes associations on one port and hands every object to the intake.

    Parameters
    ----------
    aets
        AE titles under which the node answers.
    on_demand_aets
        Those that force a run; they are answered too.
    host, port
        Where to listen; port 0 lets the system choose.
    incoming
        Existing folder, on the file system of the store, for data sets under way.
    secure
        Where to listen for TLS; None for nowhere.
    commitment
        Takes what concerns storage commitment; None does without.
    on_turned_away
        Told of callers that were not let in, of one that tries again and again once in a while.
    tally
        Told of everything that was not taken.
    inherited
        Descriptors of sockets that listen already, by the key of their port; closed with this listener, whoever else
        has them goes on.
    """

    def __init__(
        self,
        *,
        aets: Sequence[str],
        on_demand_aets: Sequence[str] = (),
        host: str,
        port: int,
        admission: Admission,
        intake: Intake,
        incoming: Path,
        limits: Limits | None = None,
        secure: Secure | None = None,
        commitment: Desk | None = None,
        on_turned_away: Callable[[network.TurnedAway], None] = lambda _caller: None,
        tally: Tally | None = None,
        inherited: Mapping[str, int] | None = None,
    ) -> None:
        self._host, self._port = host, port
        self._admission = admission
        self._intake = intake
        self._incoming = incoming
        self._limits = limits or Limits()
        self._storing = Storing(
            intake, on_demand=frozenset(on_demand_aets), most_inflated_bytes=self._limits.maximum_object_bytes,
            tally=tally,
        )  # fmt: skip
        self._census = Census(self._limits.maximum_associations, self._limits.maximum_associations_per_peer)
        self._aet = [*aets, *on_demand_aets][0]
        self._secure = secure
        self._commitment = commitment
        self._on_turned_away = on_turned_away
        self._tally = tally
        self._inherited = inherited or {}
        self._throttle = Throttle()
        self._servers: list[Server] = []
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        """The port in use for plain TCP, which differs from the one asked for if that was 0."""
        return next((server.port for server in self._servers if server.credentials is None), self._port)

    @property
    def secure_port(self) -> int:
        """The port in use for TLS; 0 for none."""
        return next((server.port for server in self._servers if server.credentials is not None), 0)

    def start(self) -> None:
        """Begin to listen.

        Raises
        ------
        ConfigError
            The port is taken, or the host is no address of this machine.
        """
        configure_pynetdicom()
        require(self._census.most_connections, self._limits.maximum_associations)
        ae = AE(ae_title=self._aet)
        # The census counts better: pynetdicom takes every silent connection for an association.
        ae.maximum_associations = sys.maxsize
        ae.maximum_pdu_size = self._limits.maximum_pdu_bytes
        ae.network_timeout = self._limits.network_timeout_seconds
        ae.acse_timeout = self._limits.acse_timeout_seconds
        ae.dimse_timeout = self._limits.dimse_timeout_seconds
        bound: list[evt.EventHandlerType] = [
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_ESTABLISHED, self._on_established),
            (evt.EVT_C_ECHO, self._on_echo),
            *(handlers(self._commitment, attempt) if self._commitment else ()),
        ]
        secure = self._secure
        try:
            if secure is None or not secure.only:
                self._listen(ae, bound, "node.port", self._port, None)
            if secure is not None:
                self._listen(ae, bound, "tls.port", secure.port, secure.credentials)
        except ConfigError:
            for server in self._servers:
                server.server_close()
            self._servers.clear()
            raise
        for server in self._servers:
            thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="dicom-listener")
            thread.start()
            self._threads.append(thread)
            tls = server.credentials is not None
            aets = sorted(self._admission.called_aets)
            log.info("listening", host=self._host, port=server.port, tls=tls, aets=aets)

    def _listen(
        self, ae: AE, bound: list[evt.EventHandlerType], key: str, port: int, credentials: Credentials | None
    ) -> None:
        try:
            server = ae.make_server(
                (self._host, port),
                contexts=presentation_contexts(),
                evt_handlers=bound,
                server_class=Server,
                request_handler=Acceptor,
                inherited=self._inherited.get(key),
            )
        except OSError as error:
            fault = Fault(
                key=key,
                value=f"{self._host}:{port}",
                remedy=f"cannot listen there: {error.strerror or error}; choose a free port and an own address",
            )
            raise ConfigError((fault,)) from error
        assert isinstance(server, Server)
        server.folder, server.credentials = self._incoming, credentials
        server.on_store, server.on_end = self._storing.store, self._on_end
        server.limits, server.census = self._limits, self._census
        server.on_turned_away, server.throttle = self._on_turned_away, self._throttle
        ae._servers.append(server)
        self._servers.append(server)

    def hand_on(self) -> None:
        """Take no further association and leave the inherited ports to who takes over; those under way go on."""
        for server in self._servers:
            server.hand_on()
        log.info("handed_on", associations=len(_active(self._servers)))

    @property
    def busy(self) -> bool:
        """Whether anybody is connected."""
        return any(server.busy for server in self._servers)

    def stop(self, grace_seconds: float) -> None:
        """Take no further association, let those under way finish, and abort what is left after `grace_seconds`."""
        if not self._servers:
            return
        self._port = self.port
        servers, self._servers = self._servers, []
        for server in servers:
            server.shutdown()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        until = monotonic() + grace_seconds
        for association in _active(servers):
            if association.admitted is None:
                # A connection that has asked for nothing yet has nothing to finish.
                association.hang_up()
        for association in _active(servers):
            association.join(max(0.0, until - monotonic()))
        remaining = _active(servers)
        for association in remaining:
            association.abort(block=False)
        for association in remaining:
            association.join(_ABORT_SECONDS)
            if association.is_alive():
                association.hang_up()
                association.join(_ABORT_SECONDS)
        log.info("stopped_listening", ports=[server.port for server in servers])

    def _on_requested(self, event: evt.Event) -> None:
        """Admit or reject (PS3.8 7.1.1); runs in the association's own thread, whose log lines all carry its names."""
        assoc = _association(event)
        calling, called = assoc.aets
        address = str(assoc.requestor.address)
        association_id = uuid4().hex
        assoc.names = {
            "association_id": association_id, "calling_aet": calling, "called_aet": called, "address": address,
        }  # fmt: skip
        bind_contextvars(**assoc.names)
        verdict = self._judge(assoc, calling, called, address)
        if isinstance(verdict, Rejected):
            log.warning("association_rejected", reason=verdict.text, admit_with=verdict.toml_lines)
            self._reject(assoc, (verdict.result, verdict.source, verdict.reason), full=False)
            times = self._throttle.times(f"{address} {calling}")
            if times:
                self._on_turned_away(
                    network.TurnedAway(
                        address=address, reason=verdict.text, calling_aet=calling, called_aet=called, times=times
                    )
                )
            return
        full = self._census.associate(assoc.caller, verdict.peer or address)
        if full:
            log.warning("association_rejected", reason=full)
            self._reject(assoc, _LOCAL_LIMIT_EXCEEDED, full=True)
            return
        assoc.admitted = network.Association(
            association_id=association_id, calling_aet=calling, called_aet=called, address=address,
            peer=verdict.peer, guest=verdict.guest,
        )  # fmt: skip
        context = context_for(self._commitment, verdict.peer) if self._commitment else None
        if context is not None:
            assoc.acceptor.supported_contexts = [*assoc.acceptor.supported_contexts, context]

    def _judge(self, assoc: NodeAssociation, calling: str, called: str, address: str) -> Admitted | Rejected:
        shown = assoc.shown
        if shown.certificate is not None:
            bind_contextvars(certificate=shown.certificate.subject)
        # A passcode that came in the clear proves nothing: others may have read it.
        if shown.secure and self._secure is not None and self._secure.users is not None:
            user = self._secure.users.proved(assoc)
            if user is None:
                result, source, reason = NO_REASON_GIVEN
                text = f"calling AE title {calling!r} from {address}: wrong user or passcode"
                return Rejected(text=text, result=result, source=source, reason=reason)
            shown = replace(shown, user=user)
        return self._admission.judge(calling, called, address, shown)

    def _reject(self, assoc: NodeAssociation, answer: tuple[int, int, int], *, full: bool) -> None:
        if self._tally is not None:
            self._tally.association(full=full)
        assoc.acse.send_reject(*answer)
        # Returns when the answer is sent and the connection is down.
        assoc.kill()

    def _on_established(self, event: evt.Event) -> None:
        assoc = _association(event)
        association = assoc.admitted
        assert association is not None
        try:
            if attempt(lambda: self._intake.opened(association)) is None:
                assoc.opened = association
        finally:
            # The network thread may wait for this with the first object.
            assoc.told.set()
        if assoc.opened is None:
            assoc.abort()
            return
        log.info("association_opened", peer=association.peer)

    def _on_end(self, assoc: NodeAssociation) -> None:
        self._census.leave(assoc.caller)
        association = assoc.opened
        if association is not None:
            attempt(lambda: self._intake.closed(association))
            log.info("association_closed", released=assoc.is_released)

    def _on_echo(self, _event: evt.Event) -> int:
        return SUCCESS


def _association(event: evt.Event) -> NodeAssociation:
    assert isinstance(event.assoc, NodeAssociation)
    return event.assoc


def _active(servers: Sequence[Server]) -> list[NodeAssociation]:
    return [one for server in servers for one in server.active_associations if isinstance(one, NodeAssociation)]
