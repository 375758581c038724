"""The documents of the repository, and the examples in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def named(page: Path) -> str:
    """As a test calls it."""
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> Iterator[str]:
    """What stands between fences of these languages, without the indentation of the fence."""
    for indent, language, text in _FENCE.findall(page.read_text(encoding="utf-8")):
        if language in languages:
            yield re.sub(f"^{indent}", "", text, flags=re.MULTILINE)


def prose(page: Path) -> str:
    """The page without its blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def command_lines(page: Path) -> Iterator[str]:
    """Every line of a block that calls the command, continued lines joined."""
    for block in blocks(page, "", "sh", "console", "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            plain = re.sub(r"^\s*(\$ )?", "", line)
            if re.match(r"(\S*/)?dicomnode ", plain):
                yield plain
