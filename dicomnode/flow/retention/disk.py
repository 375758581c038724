"""How full the disk of the store is, as df(1) tells."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Bytes in use, and those that an account without privileges can still have."""

    used_bytes: int
    free_bytes: int

    @property
    def size_bytes(self) -> int:
        """What can be used in all."""
        return max(1, self.used_bytes + self.free_bytes)

    @property
    def used_percent(self) -> float:
        """Percent in use."""
        return 100 * self.used_bytes / self.size_bytes

    def beyond(self, percent: float) -> float:
        """Bytes that would have to go for no more than `percent` to be in use."""
        return self.used_bytes - percent / 100 * self.size_bytes


def disk_of(folder: Path) -> Disk:
    """The disk that holds a folder."""
    found = shutil.disk_usage(folder)
    return Disk(used_bytes=found.used, free_bytes=found.free)
