"""Brings what a destination is owed in line with what it takes, and tells the story of what it does not get."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.domain.network import Peer
from dicomnode.domain.work import Form, Occasion
from dicomnode.flow.forms import MASKS, PICTURES, choose
from dicomnode.flow.suited import REJECTION, asked_for, suited
from dicomnode.store.acceptances import Acceptances
from dicomnode.store.database import Database
from dicomnode.store.deliveries import Deliveries
from dicomnode.store.files import Files


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
            elif kind in (*MASKS, *PICTURES) and any(form.role in chosen for form in forms if form.kind in MASKS):
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
