"""A small file system of its own for a store, which can be filled and made to fail."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.acceptance.waiting import eventually

#: Room for some hundred studies of the phantom and their results.
_SIZE_MIB = 384


class Disk:
    """An ext4 in a loop file where that can be mounted, else a folder that can do less.

    Attributes
    ----------
    folder
        Where the store goes.
    own
        Whether it is a file system of its own.
    """

    def __init__(self, folder: Path) -> None:
        self._image = folder.with_suffix(".img")
        self._mount = folder
        self.folder = folder / "store"
        folder.mkdir(parents=True)
        self.own = os.geteuid() == 0 and self._make()

    def _make(self) -> bool:
        with self._image.open("wb") as image:
            image.truncate(_SIZE_MIB << 20)
        return _runs("mkfs.ext4", "-q", self._image) and self.mount()

    def mount(self) -> bool:
        """Mount it; its journal is replayed as after a power cut."""
        return _runs("mount", "-o", "loop", self._image, self._mount)

    def unmount(self) -> None:
        """Take it away; nobody may use it."""
        if self.own:
            # A killed process lets go of its memory, and with it of its name, before its files (do_exit in Linux).
            eventually(lambda: _runs("umount", self._mount), what=f"{self._mount} to be in use no longer")

    def fill(self) -> None:
        """Take every byte that is left."""
        with self._ballast.open("wb", buffering=0) as ballast, suppress(OSError):
            block = b"\0" * (1 << 20)
            while block:
                try:
                    ballast.write(block)
                except OSError:
                    block = block[: len(block) // 2]

    def empty(self) -> None:
        """Give them back."""
        self._ballast.unlink(missing_ok=True)

    def fail(self) -> None:
        """Abort its journal: from now on it is read-only, as after an error of the device (ext4(5), `abort`)."""
        assert _runs("mount", "-o", "remount,abort", self._mount)

    @property
    def _ballast(self) -> Path:
        return self._mount / "ballast"


def _runs(*command: object) -> bool:
    try:
        return subprocess.run([*map(str, command)], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
