"""Who takes the results of a job, and which of those that were made each of them gets beside its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.uid import Comprehensive3DSRStorage, ExplicitVRLittleEndian

from dicomnode.config import Settings
from dicomnode.domain.network import Acceptance, Peer
from dicomnode.domain.work import Form, Job
from dicomnode.flow.forms import MASKS, companions
from dicomnode.flow.output import Output
from dicomnode.flow.suited import accepted, suited
from dicomnode.store.acceptances import Acceptances


@dataclass(frozen=True, slots=True, kw_only=True)
class Taker:
    """A destination, as far as it decides what is made for it.

    Attributes
    ----------
    peer
        None where no entry names it.
    known
        What it accepts; None where it was never asked.
    """

    peer: Peer | None = None
    known: Acceptance | None = None

    def takes(self, kind: str) -> bool:
        """Whether it takes a kind of output at all, so far as its entry says."""
        return self.peer is None or not self.peer.outputs or kind in self.peer.outputs

    @property
    def needs_older_reports(self) -> bool:
        """Whether it is not known to take the newest class of report."""
        return self.known is None or not self.known.takes(Comprehensive3DSRStorage, ExplicitVRLittleEndian)

    def companies(self, made: Sequence[Output]) -> list[tuple[Output, ...]]:
        """What a report may come with here: what it gets, and less where some of that is refused.

        Beside all that it gets, without what it is known to refuse: the mask alone, and nothing. A destination that was
        never asked may turn out to take no mask, and then gets what stands in for one.
        """
        forms = [_form(number, one) for number, one in enumerate(made)]
        gets = self._gets(forms)
        found = [gets, [form for form in gets if accepted(form, self.known)]]
        if self.known is None:
            found.append(self._gets([form for form in forms if form.kind not in MASKS]))
        found.append([form for form in gets if form.kind in MASKS][:1])
        return [tuple(made[form.result_id] for form in forms) for forms in (*found, [])]

    def _gets(self, forms: Sequence[Form]) -> list[Form]:
        listed = self.peer.outputs if self.peer else ()
        return companions(suited(forms, self.peer), listed, self.known)


def takers_of(job: Job, settings: Settings, acceptances: Acceptances) -> tuple[Taker, ...]:
    """The destinations of a job, with what they answered last."""
    peers = [settings.peer(name) for name in job.destinations]
    return tuple(Taker(peer=peer, known=acceptances.of(peer) if peer else None) for peer in peers)


def _form(number: int, output: Output) -> Form:
    """As it will stand in the books."""
    ds = output.dataset
    return Form(
        result_id=number,
        role=output.role,
        kind=output.kind,
        refers_to=output.refers_to,
        sop_class_uid=str(ds.SOPClassUID),
        sop_instance_uid=str(ds.SOPInstanceUID),
        transfer_syntax_uid=str(ds.file_meta.TransferSyntaxUID),
    )
