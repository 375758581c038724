"""A stand-in PACS for demonstrations: keeps in a folder whatever is stored to it."""

from __future__ import annotations

import threading
from pathlib import Path
from shutil import copyfile

from dicomnode.domain.network import Association
from dicomnode.domain.study import Arrival


class StandInPacs:
    """A peer that keeps in a folder whatever is stored to it, and says when a kind of object has come."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files: list[Path] = []
        self.news = threading.Condition()

    def opened(self, association: Association) -> None:
        """Nothing to note."""

    def closed(self, association: Association) -> None:
        """Nothing to note."""

    def accept(self, arrival: Arrival) -> None:
        """Keep the object."""
        path = self._folder / f"{arrival.header.first('Modality')}-{len(self.files) + 1}.dcm"
        copyfile(arrival.path, path)
        with self.news:
            self.files.append(path)
            self.news.notify_all()
