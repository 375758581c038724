"""What an object means that comes again with other bytes, as far as that can be told without decoding its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import structlog
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RTStructureSetStorage,
)

from dicomnode.domain.errors import CannotUnderstand
from dicomnode.domain.study import Arrival, Instance
from dicomnode.flow.sameness import PIXELS, changes
from dicomnode.receive.header import content_digest
from dicomnode.store.studies import Standing

_log = structlog.get_logger(__name__)

_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)


def meaning(
    current: Instance, arrival: Arrival, counted: Sequence[str], *, alike: bool
) -> tuple[Standing, list[str], str]:
    """The standing of a newcomer under the UID of `current`, the keywords that changed, and both in words.

    Parameters
    ----------
    counted
        Keywords whose change makes a newcomer replace the current object.
    alike
        Whether both are known to have the same pixels as encoded, or the same contours.
    """
    changed = changes(current.header, arrival.header, counted)
    if not alike and arrival.sop_class_uid == RTStructureSetStorage:
        # A person moved the contours: nothing is to be decoded, and the newest counts as with any correction.
        changed, alike = [*changed, "ContourData"], True
    if not alike:
        return Standing.UNDECIDED, changed, "other encoded pixels; to be decoded and compared"
    changed += changes(current.header, arrival.header, PIXELS)
    if changed:
        return Standing.CURRENT, changed, f"replaces the earlier one; changed: {', '.join(changed)}"
    return Standing.EQUAL, changed, "other bytes, same content"


def same_content(current: Instance, arrival: Arrival, path: Path) -> bool:
    """Whether the newcomer at `path` has the encoded pixels, or contours, of the current object, if it can be read."""
    files = ((current.path, current.transfer_syntax_uid), (path, arrival.transfer_syntax_uid))
    if len({_encoding(syntax) for _, syntax in files}) > 1:
        return False
    try:
        one, other = (content_digest(*each) for each in files)
    except (CannotUnderstand, OSError) as error:
        _log.error("stored objects cannot be compared", sop_instance_uid=arrival.sop_instance_uid, reason=str(error))
        return False
    return one == other


def _encoding(transfer_syntax_uid: str) -> str:
    """How pixels are encoded: native ones are the same bytes in all transfer syntaxes but Explicit VR Big Endian."""
    return "" if transfer_syntax_uid in _NATIVE else transfer_syntax_uid
