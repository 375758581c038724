"""The reference of errors: every class of the family, exit statuses, and statuses on the network."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import dicomnode
from dicomnode.cli.ending import FAILED, INTERRUPTED, OUR_FAULT, USAGE
from dicomnode.domain.errors import DicomNodeError, Refused
from dicomnode.flow.conformance import statuses
from dicomnode.flow.conformance.form import Chapter, Table, markdown

#: What training needs is not installed with the node.
_NOT_THE_NODE = ("dicomnode.train", "dicomnode.__main__")

#: What an exit status means, by the constants of the command; 0 and 3 have none of their own.
EXITS = {
    0: "done",
    FAILED: "failed, in one sentence on standard error: something is wrong with what was asked for or found",
    USAGE: "wrong usage or configuration; every fault of a configuration with key, value and remedy",
    3: "`dicomnode check`: warnings alone",
    OUR_FAULT: "a fault of dicomnode itself; `--debug` prints its traceback",
    INTERRUPTED: "interrupted by Ctrl-C",
}

#: Who meets an error of which class, and what to do; the most particular class counts.
TOLD = {
    "DicomNodeError": ("the base of all", ""),
    "ConfigError": ("exit status 2; with `--json` as `faults`", "mend what each line names; nothing was started"),
    "Refused": ("the sender, as a status; the log as `store_refused`", "by the status, below"),
    "Unsuitable": (
        "the reader, as a report “not analysed”; `dicomnode why`",
        "send a series within the limits of the model, or narrow the rule",
    ),
    "ModelError": (
        "the job fails: `dicomnode why`, notices of `failed`",
        "`dicomnode models verify`, then `dicomnode retry STUDY`",
    ),
    "Outdated": ("`dicomnode why`: the job was cancelled and its study settled anew", "nothing"),
    "EncodingError": (
        "the job fails, or one object is left out and the report says so",
        "report it; after an upgrade `dicomnode retry STUDY`",
    ),
    "LeaseLost": ("the log alone", "nothing: another process has the job"),
    "DeliveryError": ("`dicomnode why`, `dicomnode status`", "read the reason, then `dicomnode retry STUDY`"),
    "PeerUnreachable": (
        "`dicomnode status`: the peer is left alone for a while",
        "`dicomnode echo PEER`; nothing is lost meanwhile",
    ),
    "Malformed": ("the sender by STOW-RS, as 400 or 413", "mend what is sent"),
}


def classes() -> list[type[DicomNodeError]]:
    """Every class of the family that the node can raise."""
    for module in pkgutil.walk_packages(dicomnode.__path__, "dicomnode."):
        if not module.name.startswith(_NOT_THE_NODE):
            importlib.import_module(module.name)
    found: list[type[DicomNodeError]] = [DicomNodeError]
    for one in found:
        found += [
            below for below in one.__subclasses__()
            if below.__module__.startswith("dicomnode.") and not below.__module__.startswith(_NOT_THE_NODE)
        ]  # fmt: skip
    unique = {(one.__module__, one.__name__): one for one in found}
    return sorted(unique.values(), key=lambda one: ([base.__name__ for base in reversed(one.__mro__)], one.__module__))


def errors() -> str:
    """The page."""
    exits = Table(
        title="Exit statuses", columns=("status", "means"), rows=tuple((str(one), text) for one, text in EXITS.items())
    )
    family = Table(
        title="The family of errors", columns=("class", "is a", "means", "who is told, and how", "what to do"),
        rows=tuple(_row(one) for one in classes()),
    )  # fmt: skip
    text = (
        "What goes wrong is told in one sentence that names the subject, what was found and what was needed. With"
        " `--json` it is an object with `reason`; of a configuration `faults`, each with `key`, `value` and"
        " `remedy`; of a wrong command line `usage`.",
    )
    network = (
        statuses.storage_scp(), statuses.storage_scu(), statuses.stow_server(), statuses.stow_client(),
        statuses.commitment_scp(), statuses.commitment_scu(), statuses.failure_reasons(), statuses.rejections(),
    )  # fmt: skip
    return markdown(Chapter(title="Errors and statuses", text=text, tables=(exits, family, *network)))


def _row(one: type[DicomNodeError]) -> tuple[str, ...]:
    known = next(TOLD[base.__name__] for base in one.__mro__ if base.__name__ in TOLD)
    status = f" ({one.status:04X})" if issubclass(one, Refused) else ""
    means = " ".join((inspect.getdoc(one) or "").split("\n\n")[0].split())
    return f"`{one.__name__}`{status}", f"`{one.__bases__[0].__name__}`", means, *known
