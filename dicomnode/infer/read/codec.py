"""The process that decodes with GDCM, which ends where it stands when it meets a frame that it does not expect."""

from __future__ import annotations

import math
import os
import resource
import signal
import sys
from pathlib import Path
from socket import socket

import gdcm

from dicomnode.infer.read.encoded import READY, Encoded

#: Processor time for a frame. Noise of 16 bits as JPEG-LS, the slowest there is, took 0.04 s per MiB when decoded.
_SECONDS = 5
_SECONDS_PER_MIB = 1

#: Address space for a frame beyond that of the idle process. GDCM and its binding took 9 times the decoded values.
_ROOM_BYTES = 256 << 20
_ROOM_TIMES = 12


def seconds(encoded: Encoded) -> int:
    """Processor time that a frame may take."""
    return _SECONDS + _SECONDS_PER_MIB * (encoded.decoded_bytes >> 20)


def main() -> None:
    """Decode what comes in at standard input, a socket, and answer there, until the other end is closed.

    A frame that cannot be decoded ends the process, in one way or another: nothing that met damage is used again.
    """
    # Whoever stops the node stops its processes, which finish what they are at and then close the socket.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    # A core of it would hold pixels.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    idle_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    with socket(fileno=sys.stdin.fileno()) as client:
        client.sendall(READY)
        while (encoded := Encoded.receive(client)) is not None:
            needed_bytes = _ROOM_BYTES + _ROOM_TIMES * max(encoded.decoded_bytes, len(encoded.codestream))
            _limit(resource.RLIMIT_AS, idle_bytes + needed_bytes)
            _limit(resource.RLIMIT_CPU, math.ceil(sum(os.times()[:2])) + seconds(encoded))
            values = _decoded(encoded)
            if len(values) != encoded.decoded_bytes:
                sys.exit(1)
            client.sendall(values)


def _limit(kind: int, most: int) -> None:
    """Set a limit that can be raised again, as far as the system lets it."""
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _decoded(encoded: Encoded) -> bytes:
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(encoded.codestream)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((encoded.columns, encoded.rows, 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(encoded.syntax)))
    stored = encoded.bits_stored
    image.SetPixelFormat(gdcm.PixelFormat(1, encoded.bits_allocated, stored, stored - 1, int(encoded.signed)))
    # The binding hands bytes over as text with surrogates.
    content: bytes = image.GetBuffer().encode("utf-8", "surrogateescape")
    return content


if __name__ == "__main__":
    main()
