"""What each service does beyond its messages: attributes, statuses, and what follows from them."""

from __future__ import annotations

from dicomnode.flow.conformance import statuses
from dicomnode.flow.conformance.form import Chapter, Table
from dicomnode.query.find import SERIES_KEYS
from dicomnode.receive.commitment_report import WAIT_SECONDS


def interoperability() -> Chapter:
    """A chapter for each service."""
    return Chapter(
        title="Service and interoperability description",
        chapters=(
            Chapter(
                title="Verification",
                text=("As SCP every C-ECHO is answered with 0000. As SCU anything but 0000 counts as no answer.",),
            ),
            _storage_scp(),
            _storage_scu(),
            _commitment(),
            _queries(),
            _web(),
        ),
    )


def _storage_scp() -> Chapter:
    return Chapter(
        title="Storage as SCP",
        text=(
            "Level 2 (full): all attributes, standard and private, are kept, and nothing is coerced. The data set is"
            " kept byte by byte behind file meta information of the node's own. Type 2 and 3 attributes may be missing;"
            " SOP Class, SOP Instance, Study and Series Instance UID have to be there and agree with the command.",
            "The same object again is answered with Success and changes nothing. Other pixels under a UID that is"
            " known are kept beside the first, and the study is held for an operator. Objects that this node created"
            " are answered with Success and not kept again. How long objects are kept is configured (`[retention]`);"
            " nothing can be queried or retrieved here. A failure status always means that nothing was kept; no"
            " warning is ever answered. A failure carries Error Comment, and Offending Element where one is known.",
        ),
        tables=(statuses.storage_scp(),),
    )


def _storage_scu() -> Chapter:
    return Chapter(
        title="Storage as SCU",
        text=(
            "Results are sent as their files are, or, where the peer accepts nothing else, converted between"
            " uncompressed transfer syntaxes. A peer that does not answer is left alone for a time that grows to"
            " `deliver.longest_retry_seconds`, and never given up. The same object under the same UID is sent again"
            " after an interruption; its bytes never change.",
        ),
        tables=(statuses.storage_scu(), statuses.rejections()),
    )


def _commitment() -> Chapter:
    return Chapter(
        title="Storage Commitment Push Model",
        text=(
            "As SCU, for peers with `commitment = true`: N-ACTION after deliveries; the N-EVENT-REPORT may come on the"
            " same association or, with the roles reversed or not, on one that the peer opens. What it does not have"
            " is sent again (`commitment.resends`). As SCP, for peers with `committed_by`: an object counts as kept"
            " only once one of those archives has committed to it or finds it by C-FIND. The report goes out on the"
            f" association of the request where it is open for {WAIT_SECONDS:g} s more, else on one of the node's own,"
            " by `commitment.answer_within_seconds`.",
        ),
        tables=(statuses.commitment_scp(), statuses.commitment_scu(), statuses.failure_reasons()),
    )


def _queries() -> Chapter:
    keys = (
        ("STUDY", "Patient ID (single value, no wildcard) or Study Instance UID; Study Date as range or day"),
        ("SERIES", f"Study Instance UID; returned: {', '.join(SERIES_KEYS)}"),
        ("IMAGE", "Study and Series Instance UID, SOP Instance UID; returned: SOP Class UID"),
    )
    answers = (
        ("FF00, FF01", "an answer; one beside the question is dropped"),
        ("0000", "the end"),
        ("B000 (C-MOVE, C-GET)", "the end; what lacks is seen, and the series is not used"),
        ("any other", "the question failed; it is asked again with growing pauses until `wait_seconds` of the rule"),
    )
    return Chapter(
        title="Query/Retrieve as SCU",
        text=(
            "Study Root alone; hierarchical queries, no relational ones, no extended negotiation. C-MOVE names this"
            " node's AE title as destination; C-GET brings objects over the same association, with the role of SCP"
            " proposed for each storage class. What is fetched opens no study and meets no rule.",
        ),
        tables=(
            Table(title="Keys", columns=("level", "keys"), rows=keys),
            Table(title="Responses to C-FIND, C-MOVE and C-GET", columns=("status", "then"), rows=answers),
        ),
    )


def _web() -> Chapter:
    return Chapter(
        title="DICOM web services",
        text=(
            "Origin server of STOW-RS: `POST /dicomweb/studies` and `/dicomweb/studies/{study}`, multipart/related of"
            " application/dicom, or one application/dicom. Answers are application/dicom+json (the default) or +xml:"
            " 200 all kept, 202 some, 409 none, 503 no room. Each object is kept by the code that keeps those of"
            " C-STORE, with the Failure Reasons of its statuses and these:",
            "User agent of STOW-RS: one object in each request. A Failure Reason counts as the C-STORE status of its"
            " value. Where the answer names no object, its HTTP status counts:",
        ),
        tables=(statuses.stow_server(), statuses.stow_client()),
    )
