"""Senders that offer a study until every object was acknowledged, and remember exactly what was."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

from pydicom import dcmread

from tests.acceptance.peers import listens, send

Send = Callable[[Sequence[Path], int], set[Path]]

#: An archive waits minutes; a pause is all that matters here.
_PAUSE_SECONDS = 0.1
_ANSWERED = re.compile(
    r"Message Type +: C-STORE RSP(?:(?!Message Type).)*?Affected SOP Instance UID +: ([0-9.]+)"
    r"(?:(?!Message Type).)*?DIMSE Status +: (0x[0-9a-f]{4})",
    re.DOTALL,
)
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


def by_dcmsend(files: Sequence[Path], port: int) -> set[Path]:
    """DCMTK's dcmsend, which tells of each answer which object it is for; what was answered with Success."""
    done = subprocess.run(
        ["dcmsend", "-d", "-aet", "ORTHANC", "-aec", "DICOMNODE", "127.0.0.1", str(port), *map(str, files)],
        env={**os.environ, "TCP_NODELAY": "1"}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    stored = {uid for uid, status in _ANSWERED.findall(done.stdout + done.stderr) if status == "0x0000"}
    return {path for path in files if str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) in stored}


def ways() -> list[Send]:
    """The senders that there are here."""
    tools = {"storescu": by_storescu, "dcmsend": by_dcmsend}
    return [by_pynetdicom, *(way for tool, way in tools.items() if shutil.which(tool))]


def deliver_all(files: Sequence[Path], port: int, way: Send, acknowledged: set[Path], stop: Event) -> int:
    """Send what was not acknowledged yet until nothing is left or `stop` is set; how many associations it took."""
    rounds = 0
    while not stop.is_set() and (missing := [path for path in files if path not in acknowledged]):
        acknowledged |= way(missing, port)
        rounds += 1
        if len(acknowledged) < len(files):
            stop.wait(_PAUSE_SECONDS)
    return rounds
