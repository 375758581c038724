"""Tests the machine: clock, memory, limits, graphics card, and the units of systemd."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from dicomnode.domain.clock import to_text, utc_now
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.infer.network.device import NVIDIA

_GIB = 1024**3

#: A chest CT of 300 slices in single precision, with sums for two labels and background: 4 × 0.32 GB, and Python.
_WANTED_MEMORY_BYTES = 2 * _GIB

#: Two for each association, those of the database, and the network libraries'; systemd's usual limit.
_WANTED_FILES = 1024

#: All of these answer in well under a second; a service manager that hangs must not hang the check.
_ASK_SECONDS = 10.0

_UNITS = ("dicomnode.target", *(f"dicomnode-{role}.service" for role in ("receive", "work", "deliver", "web")))

#: Exists where systemd is the service manager (sd_booted(3)).
_BOOTED = Path("/run/systemd/system")


def machine() -> Iterator[Check]:
    """Everything about the machine."""
    yield _clock()
    yield _memory()
    yield _files()
    yield _card()
    yield from _units()


def _asked(*command: str) -> list[str]:
    """What a program says, line by line; nothing where it is absent or fails."""
    program = shutil.which(command[0])
    if program is None:
        return []
    try:
        done = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=_ASK_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line for line in done.stdout.splitlines() if line]


def _clock() -> Check:
    subject, now = "clock", f"{to_text(utc_now())[:19]} UTC"
    (kept,) = _asked("timedatectl", "show", "--property=NTPSynchronized", "--value")[:1] or [""]
    if kept == "no":
        remedy = "timedatectl set-ntp true: reports and the audit trail bear this time"
        return Check(subject=subject, verdict=Verdict.WARN, found=f"{now}, not synchronised by NTP", remedy=remedy)
    how = "synchronised by NTP" if kept == "yes" else "whether NTP keeps it is not told here"
    return Check(subject=subject, verdict=Verdict.OK, found=f"{now}, {how}")


def _memory() -> Check:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return Check(subject="memory", verdict=Verdict.OK, found="not told here")
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    available, total = kib.get("MemAvailable", 0) * 1024, kib["MemTotal"] * 1024
    found = f"{available / _GIB:.1f} GiB available of {total / _GIB:.1f}"
    if available < _WANTED_MEMORY_BYTES:
        remedy = "a chest CT of 300 slices takes up to 2 GiB; beyond memory the disk of the store is used, and slow"
        return Check(subject="memory", verdict=Verdict.WARN, found=found, remedy=remedy)
    return Check(subject="memory", verdict=Verdict.OK, found=found)


def _files() -> Check:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{'any number of' if soft == resource.RLIM_INFINITY else soft} open files for this account"
    if soft != resource.RLIM_INFINITY and soft < _WANTED_FILES:
        remedy = f"allow {_WANTED_FILES} (LimitNOFILE= in the units, ulimit -n elsewhere)"
        return Check(subject="limits", verdict=Verdict.WARN, found=found, remedy=remedy)
    return Check(subject="limits", verdict=Verdict.OK, found=found)


def _card() -> Check:
    if not NVIDIA.exists():
        return Check(subject="graphics card", verdict=Verdict.OK, found="none; models run on the processor")
    fields = "name,driver_version,memory.total,memory.free"
    cards = _asked("nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader")
    if not cards:
        remedy = "nvidia-smi says what is wrong with the driver; until then models may run on the processor"
        return Check(subject="graphics card", verdict=Verdict.WARN, found="its driver does not answer", remedy=remedy)
    return Check(subject="graphics card", verdict=Verdict.OK, found="; ".join(cards))


def _units() -> Iterator[Check]:
    """State of every unit that is installed, where systemd runs."""
    if not _BOOTED.is_dir():
        return
    wanted = "--property=Id,LoadState,ActiveState,SubState,NRestarts"
    blocks = _blocks(_asked("systemctl", "show", wanted, *_UNITS))
    there = [one for one in blocks if one.get("LoadState") == "loaded"]
    if not there:
        found = "none is installed; the node is started by hand or by something else"
        yield Check(subject="systemd units", verdict=Verdict.OK, found=found)
    for unit in there:
        name, state = unit["Id"], f"{unit.get('ActiveState')} ({unit.get('SubState')})"
        restarts = int(unit.get("NRestarts") or 0)
        if unit.get("ActiveState") == "failed":
            remedy = f"journalctl -u {name} -n 50 says why; then systemctl start {name}"
            yield Check(subject=f"unit {name}", verdict=Verdict.FAIL, found=state, remedy=remedy)
        elif restarts:
            found, remedy = f"{state}, started again {restarts} times", f"journalctl -u {name} says why it ended"
            yield Check(subject=f"unit {name}", verdict=Verdict.WARN, found=found, remedy=remedy)
        else:
            yield Check(subject=f"unit {name}", verdict=Verdict.OK, found=state)


def _blocks(lines: Sequence[str]) -> list[dict[str, str]]:
    """What `systemctl show` says of several units, whose order of properties is its own."""
    found: list[dict[str, str]] = []
    for line in lines:
        key, _, value = line.partition("=")
        if not found or key in found[-1]:
            found.append({})
        found[-1][key] = value
    return found
