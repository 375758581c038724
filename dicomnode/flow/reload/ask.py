"""Asks every supervisor of a store to take a configuration: all of them judge it, and only then any takes it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomnode.domain.errors import ConfigError, DicomNodeError, Fault
from dicomnode.flow.reload.line import Line, called

#: A supervisor reads every network of its models to compare the hash, and starts its processes; disks may be slow.
_PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came of it: the changes in words, what else is to be known, and the processes that were replaced."""

    changes: tuple[str, ...]
    remarks: tuple[str, ...]
    processes: tuple[str, ...]


def reload(folder: Path, roles: Sequence[str], text: str, path: Path) -> Taken:
    """Have the node on the store `folder` take this text of its configuration file `path`.

    Raises
    ------
    ConfigError
        It cannot be used, or asks for what only a restart can do; with every fault. Nothing has changed.
    DicomNodeError
        No node runs there, one is being reloaded already, or its new processes do not start.
    """
    with ExitStack() as stack:
        lines: list[Line] = []
        answers: list[dict[str, Any]] = []
        for role in roles:
            line = called(folder, role, _PATIENCE_SECONDS)
            if line is None:
                continue
            stack.callback(line.close)
            line.say({"text": text, "path": str(path)})
            answer = line.hear()
            if "busy" in answer:
                raise DicomNodeError(str(answer["busy"]))
            lines.append(line)
            answers.append(answer)
        if not lines:
            remedy = "it takes its configuration when it starts; if store.folder was changed, restart the node"
            raise DicomNodeError(f"no node runs on the store {folder}: {remedy}")
        faults = [fault for answer in answers for fault in answer["faults"]]
        if faults:
            raise ConfigError([Fault(**fault) for fault in {str(one): one for one in faults}.values()])
        changes = tuple(dict.fromkeys(change for answer in answers for change in answer["changes"]))
        remarks = tuple(dict.fromkeys(remark for answer in answers for remark in answer["remarks"]))
        if not changes:
            return Taken(changes=(), remarks=remarks, processes=())
        processes: list[str] = []
        for line, answer in zip(lines, answers, strict=True):
            line.say({"take": True})
            refused = line.hear()["refused"]
            if refused:
                before = f"; taken already by {', '.join(processes)}" if processes else ""
                raise DicomNodeError(f"{', '.join(answer['roles'])}: not taken, {refused}{before}")
            processes += answer["roles"]
        return Taken(changes=changes, remarks=remarks, processes=tuple(processes))
