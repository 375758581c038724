"""Asks a peer on the web whether it is there, and whether it has an object (QIDO-RS, PS3.18 10.6)."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import requests
from pydicom import dcmread

from dicomnode.deliver.association import LONGEST_ANSWER_BYTES, Timeouts
from dicomnode.deliver.limited import TooSlow, limited
from dicomnode.deliver.stow_answer import Answered
from dicomnode.deliver.stow_session import no_connection, session
from dicomnode.deliver.stow_wire import answering
from dicomnode.domain.errors import ConfigError, NoAssociation, PeerUnreachable
from dicomnode.domain.network import Peer, Stow

_BLOCK_BYTES = 1 << 16


def ask(peer: Peer, *, timeouts: Timeouts) -> float:
    """Seconds that a peer takes to answer a query for at most one study (QIDO-RS, PS3.18 10.6).

    One without QIDO-RS answers that, too; what counts is that it is there and lets this node in.

    Raises
    ------
    PeerUnreachable
        No answer, or one that this node is not known there or that there are no such services.
    """
    stow = peer.stow
    assert stow is not None
    began = monotonic()
    try:
        with session(peer, stow) as web:
            answer = _query(web, f"{stow.url}/studies", {"limit": "1"}, timeouts)
    except ConfigError as error:
        raise NoAssociation(f"{peer.title}: no connection: {error}") from error
    except requests.RequestException as error:
        raise NoAssociation(f"{peer.title}: {no_connection(error, timeouts)}") from error
    if 300 <= answer.status < 400 or answer.status in (401, 403, 404) or answer.status in (500, 502, 503, 504):
        raise PeerUnreachable(f"{peer.title}: answers HTTP {answer.status} to QIDO-RS")
    return monotonic() - began


def holds(web: requests.Session, stow: Stow, path: Path, timeouts: Timeouts) -> bool | None:
    """Whether a peer finds the object in the file `path` (QIDO-RS); None if it does not answer."""
    header = dcmread(
        path, specific_tags=["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"], stop_before_pixels=True
    )
    uid = str(header.get("SOPInstanceUID"))
    address = f"{stow.url}/studies/{header.get('StudyInstanceUID')}/series/{header.get('SeriesInstanceUID')}/instances"
    try:
        answer = _query(web, address, {"SOPInstanceUID": uid, "limit": "2"}, timeouts)
    except requests.RequestException:
        return None
    if answer.status == 200:
        return uid.encode() in answer.content
    return False if answer.status == 204 else None


def read(response: requests.Response, timeouts: Timeouts) -> Answered:
    """An answer, of which no more is kept than any can need.

    Raises
    ------
    requests.ReadTimeout
        Its body has not come within the time for an answer.
    """
    content = b""
    taken = answering(response)
    try:
        with limited(timeouts.dimse_seconds, lambda: taken):
            for piece in response.iter_content(_BLOCK_BYTES):
                content += piece
                if len(content) > LONGEST_ANSWER_BYTES:
                    break
    except TooSlow as error:
        raise requests.ReadTimeout(str(error)) from error
    return Answered(
        status=response.status_code,
        media_type=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
        content=content,
        retry_after=response.headers.get("Retry-After", ""),
    )


def _query(web: requests.Session, address: str, wanted: dict[str, str], timeouts: Timeouts) -> Answered:
    with web.get(
        address,
        params=wanted,
        headers={"Accept": "application/dicom+json"},
        timeout=(timeouts.connect_seconds, timeouts.dimse_seconds),
        allow_redirects=False,
        stream=True,
    ) as response:
        return read(response, timeouts)
