"""The documents build as a site in which every link leads somewhere and nothing comes from another server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.docs.documents import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_built_and_in_the_navigation(site: Path) -> None:
    pages = {str(one.relative_to(ROOT / "docs").with_suffix(".html")) for one in (ROOT / "docs").rglob("*.md")}
    built = {str(one.relative_to(site)) for one in site.rglob("*.html")}
    assert pages <= built
    front = (site / "index.html").read_text(encoding="utf-8")
    # Its own entry is the page itself.
    assert [one for one in pages - {"index.html"} if f'href="{one}"' not in front] == []


def test_no_page_loads_anything_from_another_server(site: Path) -> None:
    found = []
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        found += re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"']?(?:https?:)?//[^\s>]+", text)
    for sheet in site.rglob("*.css"):
        found += re.findall(r"url\([\"']?(?:https?:)?//[^)]+\)", sheet.read_text(encoding="utf-8"))
    assert found == []
