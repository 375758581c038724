"""Writes a first configuration that runs as it stands and says what each line is for."""

from __future__ import annotations

import json
from pathlib import Path

from dicomnode.config import load, shipped
from dicomnode.domain.errors import ConfigError, Fault

_TEMPLATE = """\
# dicomnode: first configuration. Every key there is, with its default and reason: {reference}
# `dicomnode check` tests what this file names.

[node]
aet = {aet}                # peers call this node by this name
port = {port}

[store]
folder = {store}           # a local disk

[models]
folder = {models}

[[peer]]                   # who may send, and who may be sent to
name = "PACS"
aet = {pacs_aet}
host = {pacs_host}
port = {pacs_port}
role = "archive"           # archive, modality or router
accept_research = true     # every result is for research until a rule says use = "clinical"; without this line the
                           # PACS gets none of them

# A scanner that sends straight to this node; its results go to the PACS.
# [[peer]]
# name = "CT1"
# aet = "CT1"
# host = "10.0.0.21"
# port = 104
# role = "modality"
# results_to = "PACS"

[[rule]]                   # which series a model runs on, and where the results go
name = "chest-ct"
model = "lung-ct"
outputs = ["seg", "sr"]    # DICOM Segmentation and Structured Report
destinations = ["sender"]  # the peer that sent the study; or names of peers
[rule.series]              # DICOM keywords; every line has to hold
Modality = "CT"
ImageType = {{ contains = "ORIGINAL" }}
BodyPartExamined = {{ any_of = ["CHEST", "LUNG", "THORAX"], or_missing = true }}
SliceThickness = {{ at_most = 5.0, or_missing = true }}
"""


def write_configuration(path: Path, *, aet: str, port: int, pacs: tuple[str, str, int], store: Path) -> None:
    """Write the file; it is loaded once, so that what was answered is known to be usable.

    Raises
    ------
    ConfigError
        If the file exists already, or an answer cannot be used; nothing is left behind then.
    """
    if path.exists():
        raise ConfigError([Fault(key="path", value=str(path), remedy="there is a file already; it is not replaced")])
    text = _TEMPLATE.format(
        reference=shipped("config") / "dicomnode.toml",
        aet=json.dumps(aet),
        port=port,
        store=json.dumps(str(store)),
        models=json.dumps(str(shipped("models"))),
        pacs_aet=json.dumps(pacs[0]),
        pacs_host=json.dumps(pacs[1]),
        pacs_port=pacs[2],
    )
    path.write_text(text, encoding="utf-8")
    try:
        load(path)
    except ConfigError:
        path.unlink()
        raise
