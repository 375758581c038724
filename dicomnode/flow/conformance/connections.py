"""Associations: who may open one, within which limits, and what is negotiated."""

from __future__ import annotations

from dicomnode.config import Settings
from dicomnode.flow.conformance import services
from dicomnode.flow.conformance.form import Chapter, Table
from dicomnode.receive import admission, proposal
from dicomnode.receive.implementation import IMPLEMENTATION
from dicomnode.receive.limits import Limits
from dicomnode.receive.scp import _LOCAL_LIMIT_EXCEEDED
from dicomnode.report.encode import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_DONE = "none: one request at a time (no asynchronous operations window)"


def associations(settings: Settings) -> Chapter:
    """Policies, contexts and negotiation of the one application entity."""
    accepted, proposed = services.as_acceptor(), services.as_initiator()
    return Chapter(
        title="Network communication details",
        chapters=(
            Chapter(title="Association policies", tables=(_policies(settings), _rejections(), _implementation())),
            Chapter(
                title="Accepted presentation contexts",
                text=(
                    "Of several transfer syntaxes in one context the first of the list below is taken. Every class of"
                    " the Storage Service is accepted, whether a model is made for it or not: what comes is kept, and"
                    " the rules decide. Storage commitment is accepted from peers whose entry asks for it.",
                ),
                tables=(services.syntaxes_table(), services.contexts_table("Accepted contexts", accepted)),
            ),
            Chapter(
                title="Proposed presentation contexts",
                text=(
                    "A context proposes one transfer syntax wherever it matters which one is taken. Before results are"
                    " sent for the first time, once a day and after a refusal, a peer is asked in an association what"
                    " it accepts, with the contexts of results below. `dicomnode send` proposes each file in its own"
                    " syntax and, where nothing is lost by it, in the uncompressed ones.",
                ),
                tables=(services.contexts_table("Proposed contexts", proposed),),
            ),
            Chapter(title="Extended negotiation", tables=(_negotiated(),)),
        ),
    )


def _policies(settings: Settings) -> Table:
    node, deliver, limits = settings.node, settings.deliver, Limits()
    rows = (
        ("application context", "1.2.840.10008.3.1.1.1"),
        ("associations as acceptor, at the same time", str(node.maximum_associations)),
        ("of them from one peer", str(node.maximum_associations_per_peer)),
        ("associations as initiator", "one at a time for each destination; one more for a query or a question"),
        ("asynchronous operations", _DONE),
        ("longest PDU received", f"{limits.maximum_pdu_bytes} bytes as acceptor, no limit as initiator"),
        ("longest A-ASSOCIATE-RQ", f"{proposal.MOST_REQUEST_BYTES} bytes"),
        ("presentation contexts in a request", f"{proposal.MOST_CONTEXTS}"),
        ("syntaxes in a context", f"{proposal.MOST_SYNTAXES}"),
        ("association without traffic is aborted after", f"{node.network_timeout_seconds:g} s"),
        ("connection without a request is closed after", f"{limits.acse_timeout_seconds:g} s (ARTIM)"),
        ("waits as initiator: connection, answer", f"{deliver.connect_timeout_seconds:g} s, "
         f"{deliver.response_timeout_seconds:g} s; of queries {settings.priors.response_timeout_seconds:g} s"),
        ("longest data set", f"{settings.limits.object_mib} MiB"),
        ("IPv4, IPv6", "both; `[node] host` says where it listens"),
    )  # fmt: skip
    return Table(title="Policies", columns=("what", "value"), rows=rows)


def _rejections() -> Table:
    rows = (
        (_told(admission.CALLED_AE_TITLE_NOT_RECOGNISED), "the called AE title is none of this node's"),
        (
            _told(admission.CALLING_AE_TITLE_NOT_RECOGNISED),
            "no `[[peer]]` has the calling AE title; or it calls from another address, or does not show the"
            " certificate or user of its entry",
        ),
        (_told(admission.NO_REASON_GIVEN), "a wrong user or passcode"),
        (_told(_LOCAL_LIMIT_EXCEEDED), "too many associations"),
    )
    return Table(title="Associations that are rejected", columns=("result/source/reason", "when"), rows=rows)


def _implementation() -> Table:
    rows = (
        ("associations", *IMPLEMENTATION),
        ("files of results", str(IMPLEMENTATION_CLASS_UID), IMPLEMENTATION_VERSION_NAME),
    )
    return Table(title="Implementation identification", columns=("in", "class UID", "version name"), rows=rows)


def _negotiated() -> Table:
    rows = (
        ("SCP/SCU role selection", "proposed for C-GET and for reports of storage commitment; accepted for the latter"),
        ("user identity", "type 2 (user and passcode) is verified over TLS; other types are ignored; none is proposed"),
        ("SOP class extended negotiation", "none; the SCP of storage has conformance level 2 (full)"),
        ("SOP class common extended negotiation", "ignored; none is proposed"),
        ("asynchronous operations window", _DONE),
    )
    return Table(title="Negotiated", columns=("item", "what this node does"), rows=rows)


def _told(answer: tuple[int, int, int]) -> str:
    return "/".join(str(part) for part in answer)


def configuration(settings: Settings) -> Chapter:
    """What of the configuration decides how the node speaks DICOM, with the values in force."""
    rows = tuple(
        (f"`{table}.{key}`", _value(value))
        for table in ("node", "limits", "completion", "deliver", "priors", "commitment", "stow")
        for key, value in getattr(settings, table).model_dump().items()
    )
    peers = tuple(
        (one.name, one.aet, f"{one.host}:{one.port}", str(one.role), "TLS" if one.tls else "TCP")
        for one in settings.peers
    )
    remote = Table(
        title="Remote application entities", columns=("name", "AE title", "address", "role", "over"), rows=peers
    )
    return Chapter(
        title="Configuration",
        text=(
            "AE titles, addresses and ports of this node and its peers stand in one TOML file, which"
            " `dicomnode check` tests. All keys are in the reference of the configuration; these concern DICOM.",
        ),
        tables=(
            Table(title="Parameters", columns=("key", "value"), rows=rows),
            *((remote,) if peers else ()),
        ),
    )  # fmt: skip


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ", ".join(str(one) for one in value) or "none"
    return str(value) if value != "" else "none"
