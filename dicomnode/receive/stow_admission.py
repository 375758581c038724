"""Decides as which peer a caller may store by STOW-RS, by what it shows in place of an AE title."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.domain.network import Peer, Shown


def admitted(peers: Sequence[Peer], address: str, token: str, shown: Shown) -> Peer | str:
    """The peer that is calling, or why it is none.

    A peer is known by the token that its entry names, by the certificate that it asks for, or by both where it has
    both; a peer with neither has nothing to show and cannot store in this way.

    Parameters
    ----------
    address
        Textual IP of the caller.
    token
        Name of the valid token that it has shown; "" for none.
    """
    known = [peer for peer in peers if _proved(peer, token, shown)]
    if not known:
        who = f"token {token!r}" if token else "no valid token"
        if shown.certificate is not None:
            who += f", certificate of {shown.certificate.subject!r}"
        return f"{who}: no [[peer]] is known by that"
    for peer in known:
        if peer.calls_from(address):
            return peer
    places = ", ".join(f"{peer.name} at {' '.join(peer.addresses) or peer.host}" for peer in known)
    return f"configured as {places}"


def _proved(peer: Peer, token: str, shown: Shown) -> bool:
    if not (peer.token or peer.certificate_subject):
        return False
    if peer.token and peer.token != token:
        return False
    if not peer.certificate_subject:
        return True
    return shown.certificate is not None and shown.certificate.bears(peer.certificate_subject)
