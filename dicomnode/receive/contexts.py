"""Which SOP classes and transfer syntaxes the node accepts, as tables that the conformance statement prints too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import AllStoragePresentationContexts, VerificationPresentationContexts
from pynetdicom.presentation import PresentationContext

#: Every transfer syntax the node can be built to read, best first: the acceptor's order decides which one of several
#: proposals is taken (PS3.8 9.3.3.2), and the fewer steps between file and pixels the better. Video, JPIP and
#: SMPTE ST 2110 are left out: no model reads them.
PREFERENCE: tuple[UID, ...] = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    RLELossless,
    JPEGLosslessSV1,
    JPEGLossless,
    JPEGLSLossless,
    JPEG2000Lossless,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    JPEG2000,
    HTJ2K,
)


#: Names that pydicom's dictionary does not hold yet (PS3.6 Annex A).
NEW_NAMES = {
    "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.66.8": "Height Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.9.100.1": "Waveform Presentation State Storage",
    "1.2.840.10008.5.1.4.1.1.9.100.2": "Waveform Acquisition Presentation State Storage",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """One row of the table of accepted presentation contexts."""

    sop_class_uid: str
    sop_class: str
    transfer_syntaxes: tuple[str, ...]


def readable(transfer_syntax: UID) -> bool:
    """Whether the libraries installed here can read pixels in this transfer syntax."""
    try:
        return get_decoder(transfer_syntax).is_available
    except NotImplementedError:
        return False


@cache
def transfer_syntaxes() -> tuple[str, ...]:
    """Transfer syntaxes that are accepted on this installation, best first."""
    return tuple(str(syntax) for syntax in PREFERENCE if readable(syntax))


@cache
def accepted() -> tuple[Accepted, ...]:
    """Every SOP class the node is an SCP of: Verification and all of Storage."""
    storage = sorted({str(context.abstract_syntax) for context in AllStoragePresentationContexts})
    verification = [str(context.abstract_syntax) for context in VerificationPresentationContexts]
    uncompressed = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
    return (
        *(Accepted(sop_class_uid=uid, sop_class=name_of(uid), transfer_syntaxes=uncompressed) for uid in verification),
        *(
            Accepted(sop_class_uid=uid, sop_class=name_of(uid), transfer_syntaxes=transfer_syntaxes())
            for uid in storage
        ),
    )


@cache
def storage_classes() -> frozenset[str]:
    """The SOP classes of which objects are stored."""
    verification = {str(context.abstract_syntax) for context in VerificationPresentationContexts}
    return frozenset(row.sop_class_uid for row in accepted()) - verification


def name_of(uid: str) -> str:
    """Name of a UID as PS3.6 gives it."""
    return NEW_NAMES.get(uid) or UID(uid).name


def presentation_contexts() -> list[PresentationContext]:
    """The table in the form in which the association acceptor wants it."""
    contexts = []
    for row in accepted():
        context = PresentationContext()
        context.abstract_syntax = UID(row.sop_class_uid)
        context.transfer_syntax = [UID(uid) for uid in row.transfer_syntaxes]
        contexts.append(context)
    return contexts
