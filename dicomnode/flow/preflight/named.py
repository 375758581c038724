"""Every file that the configuration names for secrets and TLS, each tried as the node will use it.

One list for `dicomnode check` and for the judge of a reload, so that neither lets pass what the other finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dicomnode.config import Settings
from dicomnode.config.alerts import NotifyTable
from dicomnode.config.audit import collector_tls
from dicomnode.config.secure import as_tls
from dicomnode.deident.secret import read_secret
from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.domain.network import Peer, Tls
from dicomnode.flow.alerts.mail import context, secret
from dicomnode.flow.alerts.request import secret_header
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.receive.users import Users
from dicomnode.tls.credentials import Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Files that are used together.

    Attributes
    ----------
    part
        What of the configuration needs them: `tls`, `web`, `audit`, `deidentify`, `heartbeat`, `notify NAME`,
        `peer NAME`.
    key, value
        What to name where the system alone says what is wrong.
    use
        Uses them without calling anybody; raises `ConfigError`, `OSError` or `ValueError`.
    prefix
        What the keys of a `ConfigError` begin with, and what they are to begin with here.
    """

    part: str
    key: str
    value: str
    use: Callable[[], object]
    prefix: tuple[str, str] = ("", "")

    def faults(self) -> list[Fault]:
        """What is wrong with them."""
        try:
            self.use()
        except ConfigError as error:
            return [replace(one, key=one.key.replace(*self.prefix, 1)) for one in error.faults]
        except (OSError, ValueError) as error:
            return [Fault(key=self.key, value=self.value, remedy=f"{error}; name a file that this account can use")]
        return []


def faults(settings: Settings, part: str = "") -> list[Fault]:
    """What is wrong with the files of one part of the configuration, or of all."""
    found = [fault for one in _named(settings) if part in ("", one.part) for fault in one.faults()]
    return list({str(fault): fault for fault in found}.values())


def failed(subject: str, fault: Fault) -> Check:
    """A fault as what `dicomnode check` tells."""
    return Check(subject=subject, verdict=Verdict.FAIL, found=f"{fault.key} = {fault.value!r}", remedy=fault.remedy)


def _named(settings: Settings) -> Iterator[Named]:
    yield from _tls(settings)
    web = settings.web
    if web.port and web.certificate:
        shown = Tls(certificate=Path(web.certificate), key=Path(web.key))
        use = partial(Credentials, shown, server=True, required=False)
        yield Named(part="web", key="web.certificate", value=web.certificate, use=use, prefix=("tls.", "web."))
    if settings.audit.enabled and settings.audit.syslog_host:
        use = partial(Credentials, collector_tls(settings), server=False)
        yield Named(part="audit", key="audit.syslog_ca", value=settings.audit.syslog_ca, use=use)
    if any(peer.deidentify is not None for peer in settings.peers):
        name = settings.deidentify.secret_file
        yield Named(part="deidentify", key="deidentify.secret_file", value=str(name), use=partial(read_secret, name))
    for peer in settings.peers:
        if peer.stow is not None:
            part, name = f"peer {peer.name}", str(peer.stow.authorization or "")
            prefix = ("stow_authorization", f"{part}.stow_authorization")
            yield Named(part=part, key=prefix[1], value=name, use=partial(_session, peer), prefix=prefix)
    for table in settings.notify:
        yield from _told(table)
    if settings.heartbeat.url:
        ca = settings.heartbeat.ca
        yield Named(part="heartbeat", key="heartbeat.ca", value=ca, use=partial(context, ca))


def _tls(settings: Settings) -> Iterator[Named]:
    table = settings.tls
    listed: list[Callable[[], object]] = []
    if table.port:
        listed.append(partial(Credentials, as_tls(table), server=True, required=table.require_client_certificate))
    if settings.stow.port and settings.stow.tls:
        listed.append(partial(Credentials, as_tls(table), server=True, required=False))
    if table.users:
        listed.append(partial(Users, Path(table.users)))
    listed += [partial(Credentials, tls, server=False) for tls in {peer.tls for peer in settings.peers} if tls]
    for use in listed:
        yield Named(part="tls", key="tls.certificate", value=table.certificate, use=use)


def _told(table: NotifyTable) -> Iterator[Named]:
    part = f"notify {table.name}"
    yield Named(part=part, key=f"{part}.ca", value=table.ca, use=partial(context, table.ca))
    if table.user:
        key = f"{part}.password_file"
        yield Named(part=part, key=key, value=table.password_file, use=partial(secret, table.password_file, key))
    if table.header_file:
        key = f"{part}.header_file"
        yield Named(part=part, key=key, value=table.header_file, use=partial(secret_header, table))


def _session(peer: Peer) -> None:
    # Imported here: the listener, which looks after certificates too, does well without a client of the web.
    from dicomnode.deliver.stow_session import session

    assert peer.stow is not None
    session(peer, peer.stow).close()
