"""The reference holds what the code has: every key, verb, metric, operation and error, in the words of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from dicomnode.flow.metrics.families import FAMILIES
from release.reference.api import operations
from release.reference.configuration import keys, tables
from release.reference.errors import EXITS, classes
from release.reference.pages import pages
from release.reference.verbs import commands
from tests.unit.docs.documents import DOCS, ROOT

MADE = pages()


@pytest.mark.parametrize("name", MADE)
def test_the_page_is_what_the_code_says_now(name: str) -> None:
    written = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert written == MADE[name], f"docs/reference/{name} is old; `make docs` makes it anew"


def test_no_page_of_the_reference_is_left_over() -> None:
    assert {one.name for one in (DOCS / "reference").iterdir()} == set(MADE)


@pytest.mark.parametrize("table", tables())
def test_every_key_of_the_configuration_is_explained(table: str) -> None:
    page = MADE["configuration.md"]
    assert [one.name for one in keys(table) if not one.text] == []
    assert [one.name for one in keys(table) if f"| `{one.name}` |" not in page] == []


def test_every_verb_stands_there_with_every_option() -> None:
    page = MADE["verbs.md"]
    for path, verb in commands():
        section = page.split(f"## `dicomnode {' '.join(path)}`\n")[1].split("\n## ")[0]
        shown = [one for one in verb.params if one.name != "help" and not getattr(one, "hidden", False)]
        wanted = [option for one in shown for option in one.opts if option.startswith("--")]
        assert [option for option in wanted if option not in section] == [], path


def test_every_metric_stands_there() -> None:
    assert [one.name for one in FAMILIES if f"| `{one.name}` |" not in MADE["metrics.md"]] == []


def test_every_operation_of_the_interface_stands_there() -> None:
    told = [(method, path) for method, path, _ in operations()]
    assert told
    assert [one for one in told if f"## `{one[0]} {one[1]}`" not in MADE["api.md"]] == []


def test_every_error_of_the_family_stands_there_and_none_is_overlooked() -> None:
    known = {one.__name__ for one in classes()}
    page = MADE["errors.md"]
    assert [name for name in known if f"| `{name}`" not in page] == []
    declared: dict[str, Path] = {}
    for path in sorted((ROOT / "dicomnode").rglob("*.py")):
        if "train" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            bases = {base.id for base in getattr(node, "bases", ()) if isinstance(base, ast.Name)}
            if isinstance(node, ast.ClassDef) and bases & known:
                declared[node.name] = path
    assert set(declared) <= known, declared


def test_every_exit_status_of_the_command_stands_there() -> None:
    source = (ROOT / "dicomnode" / "cli").glob("*.py")
    used = {int(one) for path in source for one in re.findall(r"Exit\((\d+)", path.read_text(encoding="utf-8"))}
    assert used <= set(EXITS)
    assert [one for one in EXITS if f"| {one} | " not in MADE["errors.md"]] == []
