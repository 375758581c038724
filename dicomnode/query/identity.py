"""Asks a peer by C-FIND whose a study is."""

from __future__ import annotations

from pynetdicom import build_context
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from dicomnode.domain.identity import KEYWORDS, StudyIdentity
from dicomnode.query import find
from dicomnode.query.talk import Talk


def contexts() -> list[PresentationContext]:
    """What to propose, C-FIND first; an archive that takes no queries accepts the association all the same."""
    return [*find.contexts(), build_context(Verification)]


def identities(talk: Talk, study_instance_uid: str) -> list[StudyIdentity]:
    """What a peer says of a study, once for each answer; none where it has no such study. Raises as `find.studies`."""
    return [StudyIdentity.of(one) for one in find.described(talk, study_instance_uid, KEYWORDS)]
