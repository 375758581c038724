"""A running listener accepts exactly what the conformance statement says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pydicom.uid import AllTransferSyntaxes, CTImageStorage
from pynetdicom import AE, build_context, sop_class
from pynetdicom.presentation import PresentationContext

from dicomnode.flow.conformance import services
from dicomnode.flow.conformance.form import markdown
from dicomnode.flow.conformance.statement import statement
from dicomnode.receive.scp import Listener

#: Contexts in one association (PS3.8 9.3.2.2).
MOST = 128


def accepted(listener: Listener, contexts: list[PresentationContext]) -> Iterator[tuple[str, str]]:
    """(SOP class, transfer syntax) of what the listener accepts of these."""
    for start in range(0, len(contexts), MOST):
        ae = AE(ae_title="ASKS")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
        asked = contexts[start : start + MOST]
        association = ae.associate("127.0.0.1", listener.port, ae_title="NODE", contexts=asked)
        if not association.is_established:
            # Nothing of these is accepted.
            association.kill()
            continue
        for one in association.accepted_contexts:
            yield str(one.abstract_syntax), str(one.transfer_syntax[0])
        association.release()


def every_sop_class() -> list[str]:
    """All that pynetdicom has a name for, whatever its service."""
    tables = [table for name, table in vars(sop_class).items() if name.endswith("_CLASSES") and isinstance(table, dict)]
    return sorted({str(uid) for table in tables for uid in table.values() if str(uid).startswith("1.2.840.10008.")})


def test_every_sop_class_that_the_listener_accepts_is_in_the_statement_and_vice_versa(
    listen: Callable[..., Listener],
) -> None:
    listener = listen()
    said = {one.sop_class_uid for one in services.as_acceptor() if one.when == services.ALWAYS}
    wanted = sorted({*said, *every_sop_class()})
    assert len(wanted) > len(said) + 50
    found = {uid for uid, _ in accepted(listener, [build_context(uid) for uid in wanted])}
    assert found == said
    text = markdown(statement())
    assert [uid for uid in found if f"| {uid} |" not in text] == []


def test_every_transfer_syntax_that_the_listener_accepts_is_in_the_statement_and_vice_versa(
    listen: Callable[..., Listener],
) -> None:
    listener = listen()
    said = next(one for one in services.as_acceptor() if one.sop_class_uid == CTImageStorage)
    wanted = sorted({*said.transfer_syntaxes, *(str(uid) for uid in AllTransferSyntaxes)})
    found = {syntax for _, syntax in accepted(listener, [build_context(CTImageStorage, one) for one in wanted])}
    assert found == set(said.transfer_syntaxes)
    listed = {uid for _, _, uid in services.syntaxes_table().rows}
    assert found == listed
