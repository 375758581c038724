"""Who talks to us and whom we talk to: application entities, peers and associations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path

from dicomnode.domain.certificate import Certificate
from dicomnode.domain.privacy import Keep

#: Transfer syntaxes that turn into each other without loss (PS3.5 Annex A): Explicit, Implicit and Deflated VR LE.
CONVERTIBLE = frozenset({"1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"})

LOOPBACK_NAMES = frozenset({"localhost", "ip6-localhost"})


class PeerRole(StrEnum):
    """What a peer is; nothing is sent to a modality unless its entry allows it."""

    ARCHIVE = "archive"
    MODALITY = "modality"
    ROUTER = "router"


class TlsProfile(StrEnum):
    """A secure transport connection profile: PS3.15 B.12 or B.13."""

    BCP195 = "bcp195"
    MODIFIED = "modified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What this node shows and whom it trusts on a TLS connection; PEM files.

    Attributes
    ----------
    certificate
        This node's, followed by those between it and its authority; None shows nothing.
    key
        The private key that belongs to it.
    ca
        The authorities whose certificates are believed.
    """

    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    profile: TlsProfile = TlsProfile.BCP195


@dataclass(frozen=True, slots=True, kw_only=True)
class Stow:
    """How results go to a peer by STOW-RS (PS3.18 10.5) in place of C-STORE.

    Attributes
    ----------
    url
        Of its DICOMweb services, without a slash at the end; `/studies` is below it.
    authorization
        File with the one line that goes into the header `Authorization`; None sends none.
    tls
        What is shown and trusted at an https address; None for http.
    """

    url: str
    authorization: Path | None = None
    tls: Tls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One application entity that the configuration names.

    Attributes
    ----------
    addresses
        Networks in CIDR form from which this AE title may call; empty means `host` alone.
    results_to
        Name of the peer that takes the results of studies which this one sends; empty means itself.
    accept_results
        Whether a peer of role modality may be sent results all the same.
    outputs
        Kinds of result that it takes (`config.OUTPUTS`); empty leaves the choice to what it accepts.
    accept_research
        Whether it may be sent what is for research alone.
    rejection_notes
        Whether it acts on a rejection note (IHE RAD TF-3 4.66), so that withdrawn results vanish from its lists.
    deflate
        Whether a SEG is sent to it deflated (PS3.5 A.5) where it accepts that.
    empty_frames
        Whether its SEG holds every frame of every segment, also those without a voxel.
    labelmap_background
        Whether its label map describes the background as a segment.
    retrieve
        How earlier studies are fetched from it: `move` (C-MOVE to this node's AE title) or `get` (C-GET).
    tls
        How it is called over TLS; None calls it over plain TCP.
    certificate_subject
        Names that its certificate has to bear (`certificate.parse_names`). It may then call over TLS alone, and when it
        is called they are looked for in place of the host. Empty: any certificate of a trusted authority.
    user
        The user that it has to name, with the passcode, when it calls (PS3.7 D.3.3.7); empty: none.
    deidentify
        Options under which objects lose their patient before they go there (PS3.15 E.3); None sends them as they are.
    commitment
        Whether it is asked for storage commitment of what was delivered to it (PS3.4 J).
    verify
        Whether it is asked by C-FIND for what was delivered, where it does no storage commitment.
    identity
        Whether an archive is asked by C-FIND whose a study is before results that have waited go there.
    committed_by
        Names of the archives, any of which has to keep an object before this peer, when it asks for storage
        commitment, hears that it is kept; empty: its requests are refused.
    stow
        Where results go by STOW-RS; None sends them by C-STORE.
    token
        Name of the token by which it shows who it is when it stores by STOW-RS here; empty: none.
    """

    name: str
    aet: str
    host: str
    port: int
    role: PeerRole = PeerRole.ARCHIVE
    addresses: tuple[str, ...] = ()
    results_to: str = ""
    accept_results: bool = False
    outputs: tuple[str, ...] = ()
    accept_research: bool = False
    rejection_notes: bool = False
    deflate: bool = False
    empty_frames: bool = False
    labelmap_background: bool = True
    retrieve: str = "move"
    deidentify: tuple[Keep, ...] | None = None
    commitment: bool = False
    verify: bool = False
    identity: bool = True
    committed_by: tuple[str, ...] = ()
    tls: Tls | None = None
    certificate_subject: str = ""
    user: str = ""
    stow: Stow | None = None
    token: str = ""

    @property
    def title(self) -> str:
        """As messages name it."""
        where = self.stow.url if self.stow else f"{self.aet} at {self.host}:{self.port}"
        return f"{self.name} ({where})"

    @property
    def speaks_dimse(self) -> bool:
        """Whether associations can be opened with it; one that is on the web alone has no port."""
        return self.port > 0

    @property
    def address(self) -> str:
        """Who is asked what it accepts; another answer may come from elsewhere."""
        return self.stow.url if self.stow else f"{self.aet}@{self.host}:{self.port}"

    @property
    def may_receive(self) -> bool:
        """Whether results may be sent here at all."""
        return self.role is not PeerRole.MODALITY or self.accept_results

    def calls_from(self, address: str) -> bool:
        """Whether `address` (textual IP) is one that this peer may call from.

        A host given by name cannot be compared without asking a resolver, so it admits any address;
        `addresses` narrows it.
        """
        caller = ip_address(address.split("%")[0])
        if isinstance(caller, IPv6Address) and caller.ipv4_mapped is not None:
            caller = caller.ipv4_mapped
        if self.addresses:
            return any(caller in ip_network(network, strict=False) for network in self.addresses)
        if self.host in LOOPBACK_NAMES:
            return caller.is_loopback
        try:
            return caller == ip_address(self.host)
        except ValueError:
            return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """An association that a peer opened with us, as far as the node cares.

    Attributes
    ----------
    guest
        Whether somebody else opened it in the place of `peer`, who may store one study alone.
    """

    association_id: str
    calling_aet: str
    called_aet: str
    address: str
    peer: str = ""
    guest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a caller has shown of itself besides its AE title and address.

    Attributes
    ----------
    secure
        Whether it calls over TLS.
    certificate
        What it showed there, verified; None when it showed none.
    user
        The user whose passcode it knew; empty when it named none.
    """

    secure: bool = False
    certificate: Certificate | None = None
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedAway:
    """A caller that this node has not let in.

    Attributes
    ----------
    calling_aet, called_aet
        As it gave them; empty where it came no further than TLS.
    reason
        Why, in words for an operator.
    times
        How often this happened to the caller since it was last told.
    """

    address: str
    reason: str
    calling_aet: str = ""
    called_aet: str = ""
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What a peer answered when every kind of result was proposed to it.

    Attributes
    ----------
    results
        (SOP class, transfer syntax) → result of the presentation context (PS3.8 Table 9-18); 0 is acceptance.
    """

    asked_at: datetime
    results: Mapping[tuple[str, str], int] = field(repr=False)

    def takes(self, sop_class_uid: str, transfer_syntax_uid: str) -> bool:
        """Whether an object of this class can be sent, as it is or converted without loss; so is one never proposed."""
        proposed = {
            syntax: result for (sop_class, syntax), result in self.results.items() if sop_class == sop_class_uid
        }
        if not proposed:
            return True
        able = CONVERTIBLE if transfer_syntax_uid in CONVERTIBLE else {transfer_syntax_uid}
        return any(result == 0 for syntax, result in proposed.items() if syntax in able)
