"""What a destination's entry asks of the form of masks and of withdrawals, whatever else it takes."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.domain.network import Acceptance, Peer
from dicomnode.domain.work import Form

#: Roles of masks that only some destinations ask for, beside `seg` and `labelmap`.
ALL_FRAMES = "seg-all-frames"
WITHOUT_BACKGROUND = "labelmap-without-background"

REJECTION = "rejection"


def special_masks(peer: Peer) -> tuple[str, ...]:
    """The masks that a destination has to have in place of the ordinary ones."""
    wanted = ((ALL_FRAMES, peer.empty_frames), (WITHOUT_BACKGROUND, not peer.labelmap_background))
    return tuple(role for role, asked in wanted if asked)


def suited(forms: Sequence[Form], peer: Peer | None) -> list[Form]:
    """The forms of one job without masks that the destination's entry asks for in another form, and their reports.

    What was perhaps offered to it already stays, and is not sent a second time in another form.
    """
    special = special_masks(peer) if peer else ()
    by_role = {form.role: form for form in forms}
    unwanted: set[str] = set()
    for plain, other in (("seg", ALL_FRAMES), ("labelmap", WITHOUT_BACKGROUND)):
        if plain in by_role and other in by_role:
            wanted, left = (other, plain) if other in special else (plain, other)
            unwanted.add(wanted if by_role[left].offered and not by_role[wanted].offered else left)
    return [form for form in forms if form.role not in unwanted and not form.references & unwanted]


def asked_for(forms: Sequence[Form], peer: Peer | None, known: Acceptance | None) -> list[Form]:
    """The rejection note, for a destination that acts on one and has not refused it; else none of the forms."""
    if peer is None or not peer.rejection_notes:
        return []
    return [
        form
        for form in forms
        if form.kind == REJECTION and form.state != "failed" and (form.offered or accepted(form, known))
    ]


def accepted(form: Form, known: Acceptance | None) -> bool:
    """Whether a destination takes the class and transfer syntax of a form; it is believed to where nobody asked."""
    return known is None or known.takes(form.sop_class_uid, form.transfer_syntax_uid)
