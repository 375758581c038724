"""Asks a peer in an association which kinds of result it accepts, and in which transfer syntaxes."""

from __future__ import annotations

from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    RLELossless,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import build_context
from pynetdicom.sop_class import LabelMapSegmentationStorage  # type: ignore[attr-defined]

from dicomnode.deliver.association import Timeouts, conversation
from dicomnode.domain.network import Peer

#: A SEG alone goes deflated, and only to peers whose entry asks for that.
_DEFLATED = str(DeflatedExplicitVRLittleEndian)
_PLAIN = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))

#: Kind of output → SOP classes that it comes in → transfer syntaxes that it can be sent in.
OFFERS: dict[str, dict[str, tuple[str, ...]]] = {
    "seg": {str(SegmentationStorage): (*_PLAIN, _DEFLATED)},
    "labelmap": {str(LabelMapSegmentationStorage): (str(RLELossless),)},
    "sr": {
        str(Comprehensive3DSRStorage): _PLAIN,
        str(ComprehensiveSRStorage): _PLAIN,
        str(EnhancedSRStorage): _PLAIN,
    },
    "rtstruct": {str(RTStructureSetStorage): _PLAIN},
    "map": {str(ParametricMapStorage): _PLAIN},
    "picture": {str(SecondaryCaptureImageStorage): _PLAIN},
    "pdf": {str(EncapsulatedPDFStorage): _PLAIN},
    "rejection": {str(KeyObjectSelectionDocumentStorage): _PLAIN},
}

#: "Abstract syntax not supported" (PS3.8 Table 9-18): what a context counts as to which the peer said nothing.
_NOT_SUPPORTED = 3


def ask(peer: Peer, *, calling_aet: str, timeouts: Timeouts) -> dict[tuple[str, str], int]:
    """(SOP class, transfer syntax) → result of its presentation context (PS3.8 Table 9-18), for all of `OFFERS`.

    Each context proposes a single transfer syntax, since the peer picks one per context (PS3.8 9.3.2.2). Deflated is
    proposed to peers alone whose entry asks for it.

    Raises
    ------
    PeerUnreachable
        There is no association, and why.
    DeliveryError
        The configured AE title or host cannot be used at all.
    """
    wanted = [
        (sop_class, syntax)
        for classes in OFFERS.values()
        for sop_class, syntaxes in classes.items()
        for syntax in syntaxes
        if syntax != _DEFLATED or peer.deflate
    ]
    contexts = [build_context(sop_class, syntax) for sop_class, syntax in wanted]
    with conversation(peer, contexts, calling_aet=calling_aet, timeouts=timeouts) as talk:
        found = dict.fromkeys(wanted, _NOT_SUPPORTED)
        for context in (*talk.association.accepted_contexts, *talk.association.rejected_contexts):
            result = _NOT_SUPPORTED if context.result is None else context.result
            found[str(context.abstract_syntax), str(context.transfer_syntax[0])] = result
    return found
