"""The whole statement, in the order of the template in PS3.2 Annex N."""

from __future__ import annotations

from dicomnode import __version__
from dicomnode.config import Settings
from dicomnode.flow.conformance import objects, services
from dicomnode.flow.conformance.connections import associations, configuration
from dicomnode.flow.conformance.form import Chapter, Table
from dicomnode.flow.conformance.interoperability import interoperability
from dicomnode.flow.conformance.secured import characters, security

_TEMPLATE = (
    "The order follows the template of PS3.2 Annex N (normative since 2023) as far as it was known when this was"
    " written; the text of the annex was not at hand, and the numbers of the sections are this document's own. The"
    " tables are made from those that the program works with, and tests ask a running node for each of them."
)


def statement(settings: Settings | None = None) -> Chapter:
    """The conformance statement of this version, with the values of a configuration, else with the defaults."""
    given = settings or Settings()
    return Chapter(
        title=f"DICOM conformance statement: dicomnode {__version__}",
        text=(
            f"AE title {given.node.aet}, port {given.node.port}"
            + ("" if settings else " (the defaults; `dicomnode conformance --config FILE` has those of a node)")
            + ". Not a medical device: research software without regulatory clearance.",
        ),
        chapters=(
            _overview(),
            _introduction(),
            _model(given),
            interoperability(),
            configuration(given),
            associations(given),
            _media(),
            characters(),
            security(),
            _contents(),
        ),
    )


def _overview() -> Chapter:
    return Chapter(
        title="Overview",
        text=(
            "dicomnode receives studies by C-STORE or STOW-RS, runs models on the series that rules choose, and sends"
            " segmentations, structured reports and other results to archives and other peers by C-STORE or STOW-RS.",
        ),
        tables=(_network(), _web(), Table(title="Media", columns=("profile", "role"), rows=(("none", "none"),))),
    )


def _network() -> Table:
    """Services by SOP class with the roles of this node, those of storage counted."""
    contexts = [*services.as_acceptor(), *services.as_initiator()]
    images = {
        one.sop_class_uid for one in services.as_acceptor() if "Storage" in one.name and one.when == services.ALWAYS
    }
    results = {one.sop_class_uid for one in services.as_initiator() if one.when.startswith("results")}
    rows = [
        (f"Storage: {len(images)} SOP classes, listed under accepted contexts", "no", "yes"),
        (f"Storage of results: {len(results)} SOP classes, listed under created objects", "yes", "yes"),
    ]
    others = [one for one in contexts if one.sop_class_uid not in images]
    for name, uid in dict.fromkeys((one.name, one.sop_class_uid) for one in others):
        roles = {one.role for one in others if one.sop_class_uid == uid}
        rows.append((f"{name} ({uid})", _yes(services.SCU in roles), _yes(services.SCP in roles)))
    columns = ("SOP class", "user of service (SCU)", "provider of service (SCP)")
    return Table(title="Network services", columns=columns, rows=tuple(rows))


def _web() -> Table:
    rows = (
        ("STOW-RS, store instances", "yes", "yes", "`stow` of a `[[peer]]`; `[stow] port`"),
        ("QIDO-RS, search", "yes", "no", "whether a result is there; `check` and `echo`"),
        ("WADO-RS, UPS-RS, WADO-URI", "no", "no", ""),
    )
    return Table(title="DICOM web services", columns=("service", "user agent", "origin server", "where"), rows=rows)


def _introduction() -> Chapter:
    return Chapter(
        title="Introduction",
        text=(
            "For administrators of archives, modalities and networks, and for those who integrate them. A statement"
            " of conformance does not by itself show that two systems work together: test with your own.",
            _TEMPLATE,
        ),
        tables=(
            Table(
                title="Revision history",
                columns=("version", "what"),
                rows=((__version__, "made by this version of the program; its CHANGELOG.md has what changed"),),
            ),
        ),
    )


def _model(settings: Settings) -> Chapter:
    titles = ", ".join(settings.node.called_aets)
    return Chapter(
        title="Implementation model",
        text=(
            f"One application entity, which answers to {titles} on every port: what comes is kept (Verification,"
            " Storage, Storage Commitment), studies that have arrived are matched with rules and analysed, results"
            " are sent (Storage, Storage Commitment), and archives are asked for earlier studies, for whose a study"
            " is, and for what they keep (Query/Retrieve). An AE title of `on_demand` forces a new analysis.",
            "Sequence: an object is on the disk and in the database before its sender hears Success; a study settles"
            " when no association that carried it is open and it has been quiet for"
            f" {settings.completion.quiet_seconds:g} s"
            f" ({settings.completion.announced_seconds:g} s where every series has all images that it announces); what"
            " comes later reopens it. SEG and other objects are sent before the report that refers to them.",
        ),
    )


def _media() -> Chapter:
    return Chapter(title="Media interchange", text=("No media are written or read.",))


def _contents() -> Chapter:
    return Chapter(
        title="Content of created objects",
        text=(
            "Patient, study and order are those of the images; every object is ISO_IR 192, in a series of its own,"
            " with the model in Contributing Equipment Sequence. Created objects hold no private attribute, and"
            " private attributes of the images are not copied. Codes of the scheme 99DICOMNODE are private (PS3.16"
            " section 8); beside those below there are derived ones, for words that a bundle declares. Scores and"
            " answers are coded as the bundle of the model says. No standard extended, specialised or private SOP"
            " class is created; Contributing Equipment holds a Device UID, which IHE AIR asks for.",
        ),
        tables=(
            objects.created(),
            objects.attributes(),
            objects.offered(),
            objects.templates(),
            objects.written_codes(),
            objects.features(),
        ),
    )  # fmt: skip


def _yes(there: bool) -> str:
    return "yes" if there else "no"
