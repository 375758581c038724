"""Writes the pages of the reference; `make docs` runs it."""

from __future__ import annotations

from pathlib import Path

from release.reference.pages import pages

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
