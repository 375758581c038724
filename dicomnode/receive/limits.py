"""How much the listener puts up with before it says no."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much the listener puts up with.

    Attributes
    ----------
    maximum_associations
        Open at the same time, over all peers.
    maximum_associations_per_peer
        Of them, so many may be of one peer (of one address, for a caller that no peer names).
    maximum_pdu_bytes
        Longest P-DATA-TF the peer may send (PS3.8 D.1); 0 for no limit. 128 KiB halves the time that 16 KiB takes.
    maximum_object_bytes
        Longest data set, as sent and inflated. The length of an element has 32 bits (PS3.5 7.1), so what is longer
        than 4 GiB holds several of such values.
    slowest_bytes_per_second
        Time that a peer takes over one object beyond `network_timeout_seconds` has to be paid for with so many bytes.
    network_timeout_seconds
        An association without any traffic is aborted after this time, and so is one that stalls inside a PDU.
    acse_timeout_seconds
        A connection that requests no association is closed after this time (ARTIM, PS3.8 9.1.5), however many bytes
        of a request it has sent.
    dimse_timeout_seconds
        How long to wait for an answer of the peer.
    """

    maximum_associations: int = 25
    maximum_associations_per_peer: int = 20
    maximum_pdu_bytes: int = 131072
    maximum_object_bytes: int = 4 << 30
    slowest_bytes_per_second: float = 1000.0
    network_timeout_seconds: float = 60.0
    acse_timeout_seconds: float = 30.0
    dimse_timeout_seconds: float = 30.0
