"""Copies the audit trail while it is written: its files only grow, and what notes where it ends goes first."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile

from dicomnode.audit.head import locked, numbers, path_of
from dicomnode.domain.errors import DicomNodeError
from dicomnode.store.files import sync


def copy_trail(folder: Path, target: Path) -> None:
    """Bring a copy of the trail up to date; one that goes on where it ends is the same trail.

    Raises
    ------
    DicomNodeError
        Others write it without a pause.
    OSError
        One of the two cannot be read or written.
    """
    target.mkdir(mode=0o700, exist_ok=True)
    # Nobody writes while this is held, so that every line that is noted is in the files that are read afterwards.
    try:
        with locked(folder):
            noted = (folder / "head").read_bytes()
    except TimeoutError as error:
        raise DicomNodeError(f"audit trail {folder}: {error}; make the backup again") from error
    for number in numbers(folder):
        source, copy = path_of(folder, number), path_of(target, number)
        if not copy.exists() or copy.stat().st_size != source.stat().st_size:
            part = copy.with_name(f"{copy.name}.part")
            copyfile(source, part)
            sync(part)
            part.replace(copy)
    (target / "head").write_bytes(noted)
    sync(target / "head")
    sync(target)
