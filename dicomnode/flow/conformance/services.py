"""Every presentation context that the node accepts or proposes, asked of the rooms that do so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from dicomnode.deliver import commitment as asking
from dicomnode.deliver.offers import OFFERS
from dicomnode.flow.conformance.form import Table
from dicomnode.query import identity, retrieve
from dicomnode.receive.commitment import Desk, context_for
from dicomnode.receive.contexts import accepted, name_of, transfer_syntaxes

ALWAYS = "always"
SCU, SCP = "SCU", "SCP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One presentation context.

    Attributes
    ----------
    role
        That of this node.
    when
        In which associations it stands.
    """

    sop_class_uid: str
    transfer_syntaxes: tuple[str, ...]
    role: str
    when: str

    @property
    def name(self) -> str:
        """Of the SOP class."""
        return name_of(self.sop_class_uid)


class _Both:
    """A desk for a peer that may ask and may report."""

    def roles(self, _peer: str) -> tuple[bool, bool]:
        """Both."""
        return True, True


def as_acceptor() -> list[Context]:
    """What the listener accepts."""
    found = [
        Context(sop_class_uid=row.sop_class_uid, transfer_syntaxes=row.transfer_syntaxes, role=SCP, when=ALWAYS)
        for row in accepted()
    ]
    # Only `roles` is asked of it.
    both = context_for(cast(Desk, _Both()), "any")
    for role, key in ((SCP, "`committed_by`"), (SCU, "`commitment = true`")):
        found += _of([both], role, f"from a peer with {key}")
    return found


def as_initiator() -> list[Context]:
    """What the node proposes: of results each class in each form, of earlier studies what C-GET may bring."""
    question, verification = identity.contexts()
    results = [
        Context(sop_class_uid=sop_class, transfer_syntaxes=syntaxes, role=SCU, when=f"results, `{kind}`")
        for kind, classes in OFFERS.items() for sop_class, syntaxes in classes.items()
    ]  # fmt: skip
    get = retrieve.get_contexts((), transfer_syntaxes())
    roles = {str(one.sop_class_uid) for one in retrieve.get_roles(get)}
    brought = [one for one in get if str(one.abstract_syntax) in roles]
    queries = "priors, identity, confirmation, `reconcile`, duplicates"
    return [
        *_of([verification], SCU, "`check`, `echo`, identity"),
        *results,
        *_of([asking._context()], SCU, "after deliveries to a peer with `commitment = true`"),
        *_of([asking._context()], SCP, "report to a peer with `committed_by`; the role is negotiated"),
        *_of([question], SCU, queries),
        *_of(retrieve.move_contexts(), SCU, 'priors, `retrieve = "move"`'),
        *_of([one for one in get if one not in brought], SCU, 'priors, `retrieve = "get"`'),
        *_of(brought, SCP, "sub-operations of C-GET; the role is negotiated"),
    ]


def syntaxes_table() -> Table:
    """The transfer syntaxes of images, in the order in which one of several proposals is taken."""
    rows = tuple((str(at), name_of(uid), uid) for at, uid in enumerate(transfer_syntaxes(), start=1))
    return Table(title="Transfer syntaxes of storage, best first", columns=("", "transfer syntax", "UID"), rows=rows)


def contexts_table(title: str, contexts: list[Context]) -> Table:
    """One row for each context; where all syntaxes of storage are accepted, they stand in a table of their own."""
    rows = tuple((one.name, one.sop_class_uid, _syntaxes(one), one.role, one.when) for one in contexts)
    return Table(title=title, columns=("SOP class", "UID", "transfer syntaxes", "role", "when"), rows=rows)


def _syntaxes(one: Context) -> str:
    if one.transfer_syntaxes == transfer_syntaxes():
        return "all of storage"
    names = dict.fromkeys(name_of(uid) for uid in one.transfer_syntaxes)
    compressed = tuple(uid for uid in transfer_syntaxes() if uid in one.transfer_syntaxes)
    return f"{len(names)} of storage" if len(compressed) > len(transfer_syntaxes()) // 2 else ", ".join(names)


def _of(contexts: list[Any], role: str, when: str) -> Iterator[Context]:
    for one in contexts:
        uids = tuple(str(uid) for uid in one.transfer_syntax)
        yield Context(sop_class_uid=str(one.abstract_syntax), transfer_syntaxes=uids, role=role, when=when)
