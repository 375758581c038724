"""The rules of the house that no tool knows: sizes, names, broad excepts, and words that stand in two places."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "dicomnode"
MODULES = sorted(PACKAGE.rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "helpers", "common", "manager", "base"}

#: Where `except Exception` may stand: the SCP handler, the job's verdict, settle's guard.
BROAD = {"receive/storing.py": 1, "flow/work.py": 1, "flow/settle.py": 1}

#: Which room may import which library.
HOMES = {
    "pynetdicom": {"receive", "deliver", "query"},
    "onnxruntime": {"infer", "train"},
    "radiomics": {"measure"},
    "sqlite3": {"store"},
    "apscheduler": {"node"},
    "torch": {"train"},
    "typer": {"cli"},
}


def relative(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_files_are_short() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: length for name, length in lengths.items() if length > 400} == {}
    assert median(length for name, length in lengths.items() if not name.endswith("__init__.py")) <= 130


def test_what_stands_in_flow_can_be_read_in_one_sitting() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in (PACKAGE / "flow").rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 150} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [relative(path) for path in MODULES if path.stem in FORBIDDEN_NAMES] == []


def test_broad_excepts_stand_in_exactly_three_places() -> None:
    found: dict[str, int] = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and (
                node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception")
            ):
                found[relative(path)] = found.get(relative(path), 0) + 1
    assert found == BROAD


@pytest.mark.parametrize("library", sorted(HOMES))
def test_a_library_lives_in_its_room(library: str) -> None:
    strangers = [
        relative(path) for path in MODULES
        if library in imports(path) and not HOMES[library] & set(path.relative_to(PACKAGE).parts)
    ]  # fmt: skip
    assert strangers == []


def test_every_module_opens_with_one_sentence() -> None:
    wrong = []
    for path in MODULES:
        lines = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")
        if not lines[0].endswith((".", "?", "!")) or (len(lines) > 1 and lines[1] != ""):
            wrong.append(relative(path))
    assert wrong == []


def test_the_map_of_the_code_in_the_readme_is_the_code() -> None:
    readme = (ROOT / "README.md").read_text()
    rows = dict(re.findall(r"^\| `dicomnode/([\w./]+)` \| (.+?) \|$", readme, re.MULTILINE))
    mapped = [PACKAGE / name / "__init__.py" if name.endswith("/") else PACKAGE / name for name in rows]
    for path, sentence in zip(mapped, rows.values(), strict=True):
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        assert docstring.split("\n")[0] == sentence, f"{relative(path)}: README says “{sentence}”"
    rooms = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    loops = {
        relative(path) for path in PACKAGE.glob("flow/*.py") if path.stem in {"intake", "settle", "work", "outbox"}
    }
    assert (rooms | loops | {"log.py"}) - set(rows) == set()


def test_nothing_names_a_package_registry_or_a_path_of_one_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    pattern = re.compile(
        r"https?://[a-z.-]*(pypi|pythonhosted|npmjs|debian)[a-z.-]*|(^|[^\w.])/(work|farm|root)/[a-z.]"
    )
    found = []
    for name in tracked:
        path = ROOT / name
        if path.suffix in {".onnx", ".png"} or not path.is_file() or name == "tests/architecture/test_house_rules.py":
            continue
        found += [f"{name}: {line}" for line in path.read_text().splitlines() if pattern.search(line)]
    assert found == []


def test_the_layers_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_every_verb_is_short() -> None:
    verbs = [
        node for path in (PACKAGE / "cli").glob("*.py") for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and any("command" in ast.unparse(one) for one in node.decorator_list)
    ]  # fmt: skip
    too_long = {}
    for verb in verbs:
        body = [statement for statement in verb.body if not isinstance(statement, ast.ImportFrom)][1:]
        length = sum((statement.end_lineno or 0) - statement.lineno + 1 for statement in body)
        if length > 20:
            too_long[verb.name] = length
    assert len(verbs) >= 15 and too_long == {}


def test_every_error_of_the_family_stands_in_its_tree() -> None:
    module = ast.parse((PACKAGE / "domain" / "errors.py").read_text())
    classes = {node.name for node in module.body if isinstance(node, ast.ClassDef)} - {"Fault"}
    drawn = set(re.findall(r"[├└]── (\w+)|^(DicomNodeError)", ast.get_docstring(module) or "", re.MULTILINE))
    assert classes == {one or other for one, other in drawn}
