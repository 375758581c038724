"""Decides who may open an association, and tells an operator how to admit who was turned away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

from dicomnode.domain.network import Peer, Shown

#: (result, source, reason) of an A-ASSOCIATE-RJ (PS3.8 Table 9-21): permanent, by the service user.
CALLING_AE_TITLE_NOT_RECOGNISED = (1, 1, 3)
CALLED_AE_TITLE_NOT_RECOGNISED = (1, 1, 7)
#: The same, by ACSE, for a user whose passcode is wrong (PS3.7 D.3.3.7.3 leaves the reason open).
NO_REASON_GIVEN = (1, 2, 1)

_NOTHING_SHOWN = Shown()

#: Where a DICOM node usually listens; the caller's own port is never told by an association.
_USUAL_PORT = 104


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The association may be opened; `peer` is its name in the configuration or "" for one that is not there.

    A guest stands in the place of `peer` without having shown what its entry asks for.
    """

    peer: str = ""
    guest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The association is refused.

    Attributes
    ----------
    text
        Why, for the log.
    result, source, reason
        Of the A-ASSOCIATE-RJ (PS3.8 Table 9-21).
    toml_lines
        What to add to the configuration to admit this caller; "" where no line would.
    """

    text: str
    result: int
    source: int
    reason: int
    toml_lines: str = ""


def _no_guest(_calling_aet: str, _address: str) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who may associate.

    Attributes
    ----------
    called_aets
        The AE titles under which this node answers.
    accept_unknown
        Whether AE titles that no peer has may associate too.
    guest
        The name of the peer in whose place a caller of this title, from this address, is let in; "" for all others.
    """

    peers: tuple[Peer, ...]
    called_aets: frozenset[str]
    accept_unknown: bool = False
    guest: Callable[[str, str], str] = _no_guest

    def judge(
        self, calling_aet: str, called_aet: str, address: str, shown: Shown = _NOTHING_SHOWN
    ) -> Admitted | Rejected:
        """Whether `calling_aet` at `address` (textual IP) may open an association with `called_aet`.

        AE titles compare without leading and trailing spaces (PS3.5 6.2, AE). A known AE title from a foreign address
        is refused even when unknown callers are accepted: it claims to be somebody it is not. So is one that does not
        show the certificate or the user that its entry asks for.
        """
        calling_aet, called_aet = calling_aet.strip(), called_aet.strip()
        if called_aet not in self.called_aets:
            known = ", ".join(sorted(self.called_aets))
            result, source, reason = CALLED_AE_TITLE_NOT_RECOGNISED
            text = f"called AE title {called_aet!r} by {calling_aet!r} at {address}: this node answers to {known}"
            return Rejected(text=text, result=result, source=source, reason=reason)
        if host := self.guest(calling_aet, address):
            return Admitted(peer=host, guest=True)
        namesakes = [peer for peer in self.peers if peer.aet == calling_aet]
        lacking = []
        for peer in namesakes:
            if peer.calls_from(address):
                lack = _lack(peer, shown)
                if not lack:
                    return Admitted(peer=peer.name)
                lacking.append(lack)
        if not namesakes and self.accept_unknown:
            return Admitted()
        result, source, reason = CALLING_AE_TITLE_NOT_RECOGNISED
        if lacking:
            text = f"calling AE title {calling_aet!r} from {address}: {'; '.join(lacking)}"
            return Rejected(text=text, result=result, source=source, reason=reason)
        if namesakes:
            places = ", ".join(f"{peer.name} at {' '.join(peer.addresses) or peer.host}" for peer in namesakes)
            text = f"calling AE title {calling_aet!r} from {address}: configured as {places}"
            lines = "\n".join(_widened(peer, address) for peer in namesakes[:1])
        else:
            text = f"calling AE title {calling_aet!r} from {address}: no peer has this AE title"
            lines = _new_peer(calling_aet, address)
        return Rejected(text=text, result=result, source=source, reason=reason, toml_lines=lines)


def _lack(peer: Peer, shown: Shown) -> str:
    """What the entry of `peer` asks for and this caller has not shown; "" where nothing is missing."""
    if (peer.certificate_subject or peer.user) and not shown.secure:
        return f"{peer.name} may call over TLS alone, on the port of [tls]"
    if peer.certificate_subject:
        if shown.certificate is None:
            return f"it showed no certificate, {peer.name} has to show one of {peer.certificate_subject!r}"
        if not shown.certificate.bears(peer.certificate_subject):
            return f"certificate of {shown.certificate.subject!r}, needed for {peer.name}: {peer.certificate_subject!r}"
    if peer.user and shown.user != peer.user:
        return f"it proved no user, {peer.name} has to name {peer.user!r} and its passcode"
    return ""


def _new_peer(aet: str, address: str) -> str:
    return "\n".join(
        (
            "[[peer]]",
            f"name = {_quoted(aet)}",
            f"aet = {_quoted(aet)}",
            f"host = {_quoted(_plain(address))}",
            f"port = {_USUAL_PORT}  # where it listens; an association does not tell",
        )
    )


def _widened(peer: Peer, address: str) -> str:
    networks = [*(peer.addresses or (_network(peer.host),)), _network(address)]
    listed = ", ".join(_quoted(network) for network in networks if network)
    return f"addresses = [{listed}]  # in the [[peer]] named {_quoted(peer.name)}"


def _network(host: str) -> str:
    """`host` as a network of one address in CIDR form, "" for a name that is no address."""
    try:
        found = ip_address(_plain(host))
    except ValueError:
        return "127.0.0.0/8" if host == "localhost" else ""
    return f"{found}/{found.max_prefixlen}"


def _plain(address: str) -> str:
    """An address without zone, and IPv4 without its IPv6 wrapping."""
    address = address.split("%")[0]
    return address.removeprefix("::ffff:") if "." in address else address


def _quoted(text: str) -> str:
    """A TOML basic string; AE titles hold no backslash or control character (PS3.5 6.2) but may hold a quote."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
