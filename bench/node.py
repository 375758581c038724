"""The whole node for a benchmark: its processes, a light network, the studies it gets and the archive it sends to."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from dicomnode.domain.clock import from_text
from dicomnode.train.phantoms import Phantom
from dicomnode.train.series import to_datasets
from tests.acceptance.peers import listens
from tests.acceptance.running import Node, peer
from tests.acceptance.waiting import eventually, free_port
from tests.torture.load import Template
from tests.toy import write_bundle

#: As an archive with a slow disk; a loaded machine is no reason to stop.
PATIENCE_SECONDS = 600.0

#: A thorax of 300 slices.
_SHAPE, _SPACING_MM = (300, 512, 512), (1.0, 0.7, 0.7)
#: Half axes in mm of what stands for a lung, and how far it is from the middle: 2.1 litres each.
_LUNG_MM, _ASIDE_MM = (120.0, 75.0, 56.0), 70.0


@contextmanager
def archive(folder: Path) -> Iterator[int]:
    """Port of DCMTK's storescp, which answers with Success and forgets."""
    port = free_port()
    command = ["storescp", "--ignore", "--promiscuous", "-aet", "ORTHANC", str(port)]
    with (folder / "archive.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "TCP_NODELAY": "1"})
    try:
        eventually(lambda: listens(port), what="storescp to listen")
        yield port
    finally:
        process.kill()
        process.wait()


@contextmanager
def running(folder: Path, archive_port: int, **tables: Any) -> Iterator[Node]:
    """A node that marks what is dense in a CT and sends SEG and SR to the archive; `tables` as `Node` takes them."""
    write_bundle(folder / "models")
    given: dict[str, Any] = {"log": {"level": "info"}, "work": {"threads": 0}, **tables}
    node = Node(folder / "node", models=folder / "models", peers=[peer("PACS", "ORTHANC", archive_port)], **given)
    try:
        yield node.start()
    finally:
        node.kill()


def thorax(folder: Path) -> Template:
    """A CT of 300 slices of 0.5 MB in which two masses have the size of lungs."""
    slices, rows, columns = (np.arange(n) * mm - n * mm / 2 for n, mm in zip(_SHAPE, _SPACING_MM, strict=True))
    values = np.random.default_rng(1).integers(-850, -750, _SHAPE, dtype=np.int16)
    labels = np.zeros(_SHAPE, np.uint8)
    for aside in (-_ASIDE_MM, _ASIDE_MM):
        axes = (slices[:, None, None], rows[:, None], columns - aside)
        labels |= sum((axis / half) ** 2 for axis, half in zip(axes, _LUNG_MM, strict=True)) <= 1
    values[labels > 0] += 1000
    phantom = Phantom(hounsfield=values, labels=labels, spacing_mm=_SPACING_MM, origin_mm=(-179.0, -179.0, 0.0), seed=1)
    folder.mkdir()
    files = []
    for number, ds in enumerate(to_datasets(phantom, study_date=datetime.now(UTC).date())):
        files.append(folder / f"{number:03}.dcm")
        ds.save_as(files[-1], enforce_file_format=True)
    return Template.of(files)


def moments(node: Node, study: str) -> dict[str, datetime]:
    """When each thing happened last to a study, by entity and arrow."""
    rows = node.rows(
        "SELECT entity || ' ' || arrow, MAX(at) FROM event WHERE study_instance_uid = ? GROUP BY entity, arrow"
        " UNION ALL SELECT 'instance arrived', MAX(arrived_at) FROM instance WHERE study_instance_uid = ?",
        study, study,
    )  # fmt: skip
    return {what: from_text(at) for what, at in rows if at}


def delivered(node: Node, study: str, results: int = 2) -> bool:
    """Whether the archive has acknowledged so many results of a study."""
    asked = "SELECT COUNT(*) FROM delivery WHERE state = 'done' AND study_instance_uid = ?"
    return node.rows(asked, study) == [(results,)]
