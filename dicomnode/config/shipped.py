"""Where what comes with the program lies."""

from __future__ import annotations

import sys
from pathlib import Path


def shipped(name: str) -> Path:
    """A folder or file that comes with the program (`models`, `config`): beside the source, or where pip put it."""
    beside = Path(__file__).resolve().parents[2] / name
    return beside if beside.exists() else Path(sys.prefix) / "share" / "dicomnode" / name
