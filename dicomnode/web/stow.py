"""STOW-RS: objects that are posted become arrivals as those of an association do (PS3.18 10.5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import structlog
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from dicomnode.domain.errors import OutOfResources, Refused
from dicomnode.domain.network import Association, Peer, Shown, TurnedAway
from dicomnode.domain.uid import is_uid
from dicomnode.receive.census import Census
from dicomnode.receive.limits import Limits
from dicomnode.receive.pace import Pace
from dicomnode.receive.storing import Intake
from dicomnode.receive.stow import DICOM, Storing, TooLarge
from dicomnode.receive.stow_admission import admitted
from dicomnode.receive.stow_answer import RETRY_AFTER_SECONDS, encoded, preferred, response, status_of
from dicomnode.receive.stow_multipart import Malformed, Multipart, media_type
from dicomnode.receive.tally import Tally
from dicomnode.receive.throttle import Throttle

log = structlog.get_logger(__name__)

router = APIRouter(tags=["DICOMweb"])

#: So much is taken to the disk at a time.
_BLOCK_BYTES = 1 << 20

#: What is read of a body that is refused unread: a connection closed before is reset, and the answer lost with it
#: (RFC 9112 9.6).
_DRAINED_BYTES = 4 << 20
_DRAIN_SECONDS = 2.0

_MULTIPART = "multipart/related"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """Where posted objects go; `app.state.stow` of the application that answers.

    Attributes
    ----------
    incoming
        Existing folder, on the file system of the store, for data sets under way.
    called_aet
        The AE title that stands for this node.
    whose
        Name of a valid token; "" for any other text. Raises `OutOfResources` where that cannot be looked up now.
    on_turned_away
        Told of callers that were not let in, of one that tries again and again once in a while.
    tally
        Told of everything that was not taken.
    """

    intake: Intake
    incoming: Path
    limits: Limits
    peers: tuple[Peer, ...]
    called_aet: str
    whose: Callable[[str], str]
    on_turned_away: Callable[[TurnedAway], None] = lambda _caller: None
    census: Census
    throttle: Throttle = field(default_factory=Throttle)
    tally: Tally | None = None


class _Answered(Exception):
    """The request is refused as a whole."""

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers


@router.post("/studies", operation_id="store_instances")
async def store_instances(request: Request) -> Response:
    """Store the objects of the body, of whichever studies."""
    return await _answered(request, "")


@router.post("/studies/{study_instance_uid}", operation_id="store_instances_of_study")
async def store_instances_of_study(request: Request, study_instance_uid: str) -> Response:
    """Store the objects of the body, all of this study; what is of another is refused."""
    return await _answered(request, study_instance_uid)


async def _answered(request: Request, study: str) -> Response:
    reception: Reception = request.app.state.stow
    caller = _caller(request)
    try:
        kind, boundary = _asked(request, study)
        peer = await asyncio.to_thread(_known, request, reception, caller[0])
        full = reception.census.associate(caller, peer.name)
        if full:
            _count(reception, full=True)
            log.warning("request_refused", peer=peer.name, reason=full)
            raise _Answered(503, "busy; try again later", **{"Retry-After": str(RETRY_AFTER_SECONDS)})
        try:
            return await _stored(request, reception, peer, study, boundary, kind)
        finally:
            reception.census.end(caller)
    except _Answered as refusal:
        log.warning("request_refused", address=caller[0], status=refusal.status, reason=refusal.reason)
        if refusal.status != 408:
            await _drain(request)
        headers = {**refusal.headers, "Connection": "close"}
        return Response(refusal.reason + "\n", refusal.status, headers=headers, media_type="text/plain")


async def _stored(
    request: Request, reception: Reception, peer: Peer, study: str, boundary: str | None, kind: str
) -> Response:
    association = Association(
        association_id=uuid4().hex, calling_aet=peer.aet, called_aet=reception.called_aet,
        address=_caller(request)[0], peer=peer.name,
    )  # fmt: skip
    bound = log.bind(association_id=association.association_id, peer=peer.name)
    limits = reception.limits
    storing = Storing(
        reception.intake,
        association,
        reception.incoming,
        limits,
        boundary=boundary,
        study_instance_uid=study,
        tally=reception.tally,
    )
    began = monotonic()
    try:
        await asyncio.to_thread(storing.open)
        async for block in _blocks(request, Pace(limits.network_timeout_seconds, limits.slowest_bytes_per_second)):
            await asyncio.to_thread(storing.feed, block)
        parts = await asyncio.to_thread(storing.finish)
    except Refused as refusal:
        raise _Answered(503, str(refusal), **{"Retry-After": str(RETRY_AFTER_SECONDS)}) from refusal
    except Malformed as error:
        bound.warning("request_broken", kept=_kept(storing))
        raise _Answered(413 if isinstance(error, TooLarge) else 400, str(error)) from error
    except TimeoutError as error:
        bound.warning("request_broken", kept=_kept(storing))
        raise _Answered(408, "the body came too slowly") from error
    except ClientDisconnect as error:
        bound.warning("request_broken", kept=_kept(storing))
        raise _Answered(400, "the body ends too early") from error
    finally:
        await asyncio.to_thread(storing.close)
    status = status_of(parts)
    bound.info("request_answered", status=status, parts=len(parts), seconds=round(monotonic() - began, 3))
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else None
    return Response(await asyncio.to_thread(encoded, response(parts), kind), status, headers=headers, media_type=kind)


def _asked(request: Request, study: str) -> tuple[str, str | None]:
    """Media type of the answer, and boundary of the body; None for one of a single object."""
    if study and not is_uid(study):
        raise _Answered(400, "the address names a study by something that is no UID (PS3.5 9.1)")
    kind = preferred(request.headers.get("accept", ""))
    if kind is None:
        raise _Answered(406, "answers are application/dicom+json or application/dicom+xml")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise _Answered(415, "the body is to be sent without a content coding")
    name, of, boundary = media_type(request.headers.get("content-type", ""))
    if name == DICOM:
        return kind, None
    if name != _MULTIPART or of not in (DICOM, ""):
        raise _Answered(415, f'Content-Type: {DICOM}, or {_MULTIPART} with type="{DICOM}"')
    try:
        Multipart(boundary)
    except Malformed as error:
        raise _Answered(400, str(error)) from error
    return kind, boundary


def _known(request: Request, reception: Reception, address: str) -> Peer:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    try:
        token = reception.whose(secret.strip()) if scheme.lower() == "bearer" and secret else ""
    except OutOfResources as refusal:
        log.warning("request_refused", address=address, reason=str(refusal))
        if reception.tally is not None:
            reception.tally.refused(refusal)
        raise _Answered(503, "busy; try again later", **{"Retry-After": str(RETRY_AFTER_SECONDS)}) from refusal
    shown: Shown = getattr(request.state, "shown", Shown())
    found = admitted(reception.peers, address, token, shown)
    if isinstance(found, Peer):
        return found
    log.warning("request_refused", address=address, reason=found)
    _count(reception, full=False)
    times = reception.throttle.times(f"{address} {token}")
    if times:
        reception.on_turned_away(
            TurnedAway(address=address, reason=f"STOW-RS: {found}", calling_aet=token, times=times)
        )
    if token:
        raise _Answered(403, "not allowed to store from here")
    raise _Answered(401, "not known", **{"WWW-Authenticate": "Bearer"})


async def _blocks(request: Request, pace: Pace) -> AsyncIterator[bytes]:
    """The body in blocks; only waiting for the peer counts against its pace.

    Raises
    ------
    TimeoutError
        The peer is too slow.
    ClientDisconnect
        It is gone.
    """
    block = bytearray()
    pieces = aiter(request.stream())
    while True:
        began = monotonic()
        async with asyncio.timeout(max(0.0, pace.left_seconds)):
            piece: Any = await anext(pieces, None)
        pace.waited(monotonic() - began)
        if piece is None:
            break
        pace.received(len(piece))
        block += piece
        if len(block) >= _BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    yield bytes(block)


async def _drain(request: Request) -> None:
    """Read some of a body that nobody wants, so that its sender reads the answer."""
    read = 0
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for piece in request.stream():
                read += len(piece)
                if read > _DRAINED_BYTES:
                    return


def _count(reception: Reception, *, full: bool) -> None:
    if reception.tally is not None:
        reception.tally.association(full=full)


def _caller(request: Request) -> tuple[str, int]:
    return (request.client.host, request.client.port) if request.client else ("", 0)


def _kept(storing: Storing) -> int:
    return sum(part.refusal is None for part in storing.parts)
