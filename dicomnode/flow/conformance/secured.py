"""Security: transport profiles, users, audit trail, de-identification; and character sets."""

from __future__ import annotations

from pydicom import Dataset

from dicomnode.audit import message
from dicomnode.audit.event import Action, Outcome
from dicomnode.deident.method import state
from dicomnode.domain.privacy import Keep
from dicomnode.flow.conformance.form import Chapter, Table
from dicomnode.tls.profile import PROFILES


def security() -> Chapter:
    """What of PS3.15 the node does."""
    return Chapter(
        title="Security",
        chapters=(
            Chapter(
                title="Secure transport connection profiles",
                text=(
                    "TLS has a port of its own (`[tls] port`). Both sides show a certificate unless"
                    " `require_client_certificate = false`. Older versions than TLS 1.2, renegotiation, compression"
                    " and resumption are off; keys and signatures below 112 bits are refused. Certificates are not"
                    " checked for revocation. Of the Modified profile suites with Camellia, with CCM_8 and with CCM in"
                    " TLS 1.3 are missing, since the TLS library has them not or not at this level.",
                ),
                tables=(_profiles(),),
            ),
            Chapter(
                title="User identity",
                text=("User and passcode (type 2) over TLS, where an entry names a `user`; kept hashed by scrypt.",),
            ),
            Chapter(
                title="Audit trail",
                text=(
                    "Messages of PS3.15 A.5 in files whose lines are chained by hashes, and by syslog over TLS"
                    " (RFC 5424, RFC 5425) to a collector that `[audit]` names.",
                ),
                tables=(_messages(),),
            ),
            Chapter(
                title="Attribute confidentiality profiles",
                text=(
                    "Application Level Confidentiality (PS3.15 Annex E) as de-identifier, for files (`dicomnode"
                    " deidentify`) and for destinations with `deidentify`. UIDs and pseudonyms stay the same as long as"
                    " the secret does; nothing is re-identified. Pixel data is not cleaned: objects that may show"
                    " text are not sent to such destinations. The data set says which options were applied:",
                ),
                tables=(_options(),),
            ),
            Chapter(
                title="Digital signatures, encrypted attributes",
                text=(
                    "Signatures are neither verified nor written; a received object is kept byte by byte, so that its"
                    " signature stays what it was. Encrypted attributes are neither read nor written.",
                ),
            ),
        ),
    )  # fmt: skip


def characters() -> Chapter:
    """Character sets of what comes and of what is made."""
    return Chapter(
        title="Support of character sets",
        text=(
            "Results are written in ISO_IR 192 (UTF-8). Received objects may be in any set of PS3.3 C.12.1.1.2 that"
            " pydicom decodes, with code extensions; text of patient and study is decoded and written anew. Queries"
            " are in ISO_IR 192 where a key is not ASCII or its answer may not be. Error Comments are ASCII.",
        ),
    )


def _profiles() -> Table:
    rows = tuple(
        (f'`profile = "{name}"`', suites.title, "TLS 1.3, TLS 1.2", ", ".join((*suites.tls_1_3, *suites.tls_1_2)))
        for name, suites in PROFILES.items()
    )
    return Table(title="Profiles", columns=("configuration", "profile", "versions", "cipher suites"), rows=rows)


def _messages() -> Table:
    """The events that the node records, by making one of each."""
    who, study = message.this_process(()), message.Studied(study_instance_uid="1.2")
    events = (
        message.application(who, started=True),
        message.log_used(who, who, "file:audit"),
        message.begin_transfer(who, who, study),
        message.transferred(who, who, study, created=True),
        message.query(who, who, "1.2", b"", "1.2"),
        message.accessed(who, study, Action.READ, ""),
        message.study_deleted(who, study),
    )
    alerts = (message.alert(kind, who, None, "", Outcome.SUCCESS) for kind in _ALERTS)
    rows = {(one.id.code, one.id.meaning, "") for one in events}
    rows |= {(one.id.code, one.id.meaning, f"{kind.meaning} ({kind.code})") for one in alerts for kind in one.types}
    return Table(title="Messages", columns=("code (DCM)", "event", "kind"), rows=tuple(sorted(rows)))


_ALERTS = (
    message.NODE_AUTHENTICATION, message.SOFTWARE_CONFIGURATION, message.RESTRICTED_FUNCTION,
    message.RECORDING_STARTED,
)  # fmt: skip


def _options() -> Table:
    """Codes of CID 7050 for each word of `deidentify`, as an object is marked with them."""
    always = _marked(frozenset())
    rows = [("always", *code) for code in always]
    rows += [(f"`{keep}`", *code) for keep in Keep for code in _marked(frozenset({keep})) if code not in always]
    return Table(title="Profile and options", columns=("option", "code (DCM)", "meaning"), rows=tuple(rows))


def _marked(keep: frozenset[Keep]) -> list[tuple[str, str]]:
    ds = Dataset()
    state(ds, keep)
    return [(str(one.CodeValue), str(one.CodeMeaning)) for one in ds.DeidentificationMethodCodeSequence]
