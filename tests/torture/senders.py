"""Senders that offer a study until every object was acknowledged, and remember exactly what was."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

from tests.acceptance.peers import listens, send

Send = Callable[[Sequence[Path], int], set[Path]]

#: An archive waits minutes; a pause is all that matters here.
_PAUSE_SECONDS = 0.1
_SENT = re.compile(r"^I: Sending file: (.+)$|^I: Received Store Response \((Success)\)", re.MULTILINE)


def by_pynetdicom(files: Sequence[Path], port: int) -> set[Path]:
    """One association of pynetdicom; what was answered with Success."""
    try:
        answers = send(files, port) if listens(port) else {}
    except OSError:
        return set()
    return {path for path, status in answers.items() if status == 0x0000}


def by_storescu(files: Sequence[Path], port: int) -> set[Path]:
    """One association of DCMTK's storescu; what was answered with Success."""
    done = subprocess.run(
        ["storescu", "-v", "-aet", "ORTHANC", "-aec", "DICOMNODE", "127.0.0.1", str(port), *map(str, files)],
        env={**os.environ, "TCP_NODELAY": "1"}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    acknowledged: set[Path] = set()
    current: Path | None = None
    for name, success in _SENT.findall(done.stdout + done.stderr):
        if success and current is not None:
            acknowledged.add(current)
        current = Path(name) if name else None
    return acknowledged


def ways() -> list[Send]:
    """The senders that there are here."""
    return [by_pynetdicom, by_storescu] if shutil.which("storescu") else [by_pynetdicom]


def deliver_all(files: Sequence[Path], port: int, way: Send, acknowledged: set[Path], stop: Event) -> int:
    """Send what was not acknowledged yet until nothing is left or `stop` is set; how many associations it took."""
    rounds = 0
    while not stop.is_set() and (missing := [path for path in files if path not in acknowledged]):
        acknowledged |= way(missing, port)
        rounds += 1
        if len(acknowledged) < len(files):
            stop.wait(_PAUSE_SECONDS)
    return rounds
