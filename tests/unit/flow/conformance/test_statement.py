"""The conformance statement says what the code does, and nothing that the code does not."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicomnode.cli import app
from dicomnode.config import parse
from dicomnode.deliver.offers import OFFERS
from dicomnode.flow.conformance import objects, services, statuses
from dicomnode.flow.conformance.form import Chapter, Table, as_json, markdown, tables
from dicomnode.flow.conformance.statement import statement
from dicomnode.report.provenance import ROLES

PACKAGE = Path(__file__).resolve().parents[4] / "dicomnode"
TEXT = markdown(statement())


def test_the_order_is_that_of_the_template() -> None:
    assert re.findall(r"^## \d+ (.+)$", TEXT, re.MULTILINE) == [
        "Overview", "Introduction", "Implementation model", "Service and interoperability description",
        "Configuration", "Network communication details", "Media interchange", "Support of character sets",
        "Security", "Content of created objects",
    ]  # fmt: skip


def test_the_values_of_a_configuration_stand_there() -> None:
    peer = {"name": "PACS", "aet": "ARCHIVE7", "host": "10.1.2.3", "port": 4104}
    settings = parse({"node": {"aet": "NODE7", "port": 4711}, "peer": [peer], "rule": []})
    text = markdown(statement(settings))
    assert "AE title NODE7, port 4711." in text
    assert "| PACS | ARCHIVE7 | 10.1.2.3:4104 | archive | TCP |" in text
    assert "the defaults" not in text


@pytest.mark.parametrize("name", ["receive", "domain"])
def test_every_status_that_the_code_can_answer_with_stands_there(name: str) -> None:
    codes: set[int] = set()
    for path in (PACKAGE / name).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                codes |= {
                    one.value.value for one in node.body
                    if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant)
                    and isinstance(one.value.value, int) and ast.unparse(one.targets[0]) == "status"
                }  # fmt: skip
    assert len(codes) >= 4
    assert [f"{code:04X}" for code in codes if f"| {code:04X} | " not in TEXT] == []


def test_every_status_of_a_peer_means_what_the_sender_makes_of_it() -> None:
    rows = {text: verdict for text, verdict, _ in statuses.storage_scu().rows}
    assert rows == {
        "0111": "duplicate", "0110, 0213, A700–A7FF": "busy", "0000, B000–BFFF": "stored", "any other": "refused",
    }  # fmt: skip


def test_every_kind_of_result_has_its_definition_and_its_classes() -> None:
    assert set(objects.DEFINED_BY) == set(ROLES)
    classes = {uid for kinds in OFFERS.values() for uid in kinds}
    assert classes == {uid for _, _, uid, _ in [row[:4] for row in _offered()]}
    assert classes <= {one.sop_class_uid for one in services.as_initiator()}


def _offered() -> list[tuple[str, str, str, str]]:
    return [(row[0], row[1], row[2], row[3]) for row in objects.offered().rows]


def test_every_template_that_the_reports_use_is_named() -> None:
    used = set()
    for path in (PACKAGE / "report").rglob("*.py"):
        used |= {int(one) for one in re.findall(r"TID (\d+)", path.read_text(encoding="utf-8"))}
    # Of these two only a concept is borrowed.
    assert used - {4000, 4006} == set(objects.TEMPLATES)


def test_every_private_code_that_the_reports_declare_is_listed() -> None:
    listed = {value for scheme, value, _ in objects.written_codes().rows if scheme == "99DICOMNODE"}
    declared = set()
    for path in (*(PACKAGE / "report").rglob("*.py"), *(PACKAGE / "measure").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        declared |= set(re.findall(r'CodedConcept\("([A-Z0-9-]+)", _PRIVATE', text))
        declared |= set(re.findall(r'Code\(value="([A-Z0-9-]+)", scheme=(?:_?PRIVATE|_SCHEME)', text))
    assert len(declared) > 10
    assert declared - listed == set()


def test_markdown_and_json_hold_the_same_tables() -> None:
    chapter = Chapter(
        title="a", chapters=(Chapter(title="b", tables=(Table(title="t", columns=("x",), rows=(("1|2",),)),)),)
    )
    assert markdown(chapter) == "# a\n\n## 1 b\n\n**t**\n\n| x |\n|---|\n| 1\\|2 |\n"
    below = as_json(chapter)["chapters"][0]
    assert (below["number"], below["tables"]) == ("1", [{"title": "t", "rows": [{"x": "1|2"}]}])
    assert [one.title for one in tables(chapter)] == ["t"]


def test_the_verb_prints_both_forms(tmp_path: Path) -> None:
    path = tmp_path / "dicomnode.toml"
    path.write_text('[node]\naet = "NODE8"\n')
    run = CliRunner().invoke
    printed = run(app, ["conformance", "--markdown", "-c", str(path)])
    assert printed.exit_code == 0, printed.output
    assert printed.output.startswith("# DICOM conformance statement")
    assert "AE title NODE8" in printed.output
    told = json.loads(run(app, ["conformance", "--json", "-c", str(path)]).output)
    assert [one["number"] for one in told["chapters"]] == [str(number) for number in range(1, 11)]
