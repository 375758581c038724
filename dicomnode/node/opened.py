"""Opens the store of a node."""

from __future__ import annotations

from dicomnode.config import Settings
from dicomnode.store.database import Database
from dicomnode.store.files import Files


def open_store(settings: Settings, *, checkpoints: bool = False) -> tuple[Database, Files]:
    """The store of these settings, made when absent."""
    files = Files(settings.store.folder)
    return Database(settings.store.folder / "node.db", checkpoints=checkpoints), files
