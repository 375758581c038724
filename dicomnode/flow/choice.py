"""Chooses which of the objects of a job a destination gets: the richest that it takes, and each once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dicomnode.domain.network import Acceptance, Peer
from dicomnode.domain.work import Form, Occasion
from dicomnode.flow.suited import REJECTION, accepted, asked_for, suited
from dicomnode.store.acceptances import Acceptances
from dicomnode.store.database import Database
from dicomnode.store.deliveries import Deliveries
from dicomnode.store.files import Files

#: Kinds that show a contour on the images themselves, the one to prefer first.
_MASKS = ("seg", "labelmap")
#: Kinds of which a destination gets one form, the first that it takes; the last refers to all the others.
_REPORTS = ("refusal", "radiomics", "sr")
#: Kinds that are drawn into pixels, for viewers that show no mask.
_PICTURES = ("picture", "refusal-picture")
#: What a refusal is, where a destination lists what it takes.
_LISTED_AS = {"refusal": "sr", "refusal-picture": "picture"}


class Choice:
    """What is owed to each destination, as rows; methods expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database, files: Files) -> None:
        self._deliveries = Deliveries(db, files)
        self._acceptances = Acceptances(db)

    def owe(self, job_id: int, destination: str, peer: Peer | None, occasion: Occasion = Occasion.RESULT) -> None:
        """Owe a destination what a job has made for it; tells the study's story what it does not get."""
        chosen = self.revise(job_id, destination, peer)
        forms, takes = self._deliveries.forms(job_id, destination), peer.outputs if peer else ()
        forms = [form for form in forms if form.occasion == occasion]
        withheld = self._withheld(job_id, peer)
        for kind in dict.fromkeys(form.kind for form in forms):
            of_kind = [form for form in forms if form.kind == kind]
            if any(form.role in chosen or form.state for form in of_kind) or occasion is Occasion.WITHDRAWAL:
                continue
            if withheld:
                reason = withheld
            elif takes:
                reason = f"it takes only {', '.join(takes)}"
            elif kind in (*_MASKS, *_PICTURES) and any(form.role in chosen for form in forms if form.kind in _MASKS):
                continue  # its mask says the same
            else:
                reason = "it accepts no presentation context for it"
            self._deliveries.left_out(job_id, destination, of_kind[0].role, reason)

    def revise(self, job_id: int, destination: str, peer: Peer | None) -> set[str]:
        """Bring what waits for a destination in line with what it accepts and has refused; the roles that it gets.

        What was perhaps offered already stays as it is, unless what it refers to was refused.
        """
        forms = self._deliveries.forms(job_id, destination)
        known = self._acceptances.of(peer) if peer else None
        withheld, roles = self._withheld(job_id, peer), set[str]()
        for occasion in dict.fromkeys(form.occasion for form in forms):
            of_it = [form for form in forms if form.occasion == occasion]
            if occasion == Occasion.WITHDRAWAL:
                in_words = [form for form in of_it if form.kind != REJECTION]
                chosen = asked_for(of_it, peer, known) or choose(in_words, peer.outputs if peer else (), known)
            elif withheld:
                chosen = [form for form in of_it if form.state in ("done", "running")]
            else:
                chosen = choose(suited(of_it, peer), peer.outputs if peer else (), known)
            self._bring_in_line(job_id, destination, of_it, chosen, withheld)
            roles |= {form.role for form in chosen}
        return roles

    def _withheld(self, job_id: int, peer: Peer | None) -> str:
        # What no entry names fails visibly when it is to be sent.
        return self._deliveries.withheld(job_id, accepts_research=peer is None or peer.accept_research)

    def _bring_in_line(
        self, job_id: int, destination: str, forms: Sequence[Form], chosen: Sequence[Form], withheld: str
    ) -> None:
        if any(form.state in ("running", "cancelled") for form in forms):
            return
        for form in reversed(forms):
            if form.state == "waiting" and form not in chosen:
                self._deliveries.release(destination, form)
                reason = "what it refers to is not stored there" if form.refers_to else "another form is accepted there"
                self._deliveries.left_out(job_id, destination, form.role, withheld or reason)
        self._deliveries.owe(job_id, destination, [form for form in chosen if not form.state])


def choose(forms: Sequence[Form], takes: Sequence[str], known: Acceptance | None) -> list[Form]:
    """The forms that a destination shall have, those first that others refer to.

    Parameters
    ----------
    forms
        All forms of one job, of those that say the same the richest first.
    takes
        Kinds that the destination lists. Empty for the richest mask and report that it accepts, with pictures only
        where it has no mask.
    known
        What it accepts; None if that is not known, and then everything is believed to be.

    Returns
    -------
    Never nothing while there is a report or picture that was not refused: a destination that accepts neither is
    offered one all the same, so that its refusal is seen.
    """
    chosen = list(_masks(forms, takes, known))
    masked = bool(chosen)
    for form in forms:
        if form.kind in (*_MASKS, *_REPORTS) or form.state == "failed":
            continue
        if takes:
            wanted = _LISTED_AS.get(form.kind, form.kind) in takes
        else:
            wanted = accepted(form, known) and not (form.kind in _PICTURES and masked)
        if wanted or form.offered:
            chosen.append(form)
    for kind in _REPORTS:
        stored = {form.role for form in chosen}
        # What refers to an object that was refused after all is there all the same.
        possible = [one for one in forms if one.kind == kind and (one.references <= stored or one.state == "done")]
        if not takes or _LISTED_AS.get(kind, kind) in takes:
            chosen += _first(possible, known, insist=bool(takes))
    if not chosen:
        reports = [form for kind in reversed(_REPORTS) for form in forms if form.kind == kind and not form.refers_to]
        chosen += _first([*reports, *(form for form in forms if form.kind in _PICTURES)], known, insist=True)
    return chosen


def _masks(forms: Sequence[Form], takes: Sequence[str], known: Acceptance | None) -> Iterator[Form]:
    masks = [form for kind in _MASKS for form in forms if form.kind == kind]
    if takes:
        yield from (form for form in masks if form.kind in takes and form.state != "failed")
    else:
        yield from _first(masks, known, insist=False)


def _first(forms: Sequence[Form], known: Acceptance | None, *, insist: bool) -> list[Form]:
    """The form that is stored, else that was perhaps offered, else the first that is accepted; if need be any."""
    left = [form for form in forms if form.state != "failed"]
    ranked = [
        *(form for form in left if form.state == "done"),
        *(form for form in left if form.offered),
        *(form for form in left if accepted(form, known)),
        *(left if insist else ()),
    ]
    return ranked[:1]
